"""Who may sign what: identities and their succession, signatures, entries (PROTOCOL.md §7).

Pure, with time as an argument, and shared by everyone who verifies: the client, the moderators'
tools, the server, the follower of a feed. Every refusal is an InvalidInput with a code of §10.
"""

from api.trust.entries import GRACE, YEARS, latest_expiry, open_report, open_retract
from api.trust.identities import (
    CLOCK_SKEW,
    LIFETIME,
    check_current,
    follow_chain,
    next_identity,
    open_identity,
    root_fingerprint,
)
from api.trust.moderators import (
    active_moderators,
    moderators_of,
    signatures_needed,
    signers,
    standing_signers,
    unrevoked_signers,
)

__all__ = [
    "CLOCK_SKEW",
    "GRACE",
    "LIFETIME",
    "YEARS",
    "active_moderators",
    "check_current",
    "follow_chain",
    "latest_expiry",
    "moderators_of",
    "next_identity",
    "open_identity",
    "open_report",
    "open_retract",
    "root_fingerprint",
    "signatures_needed",
    "signers",
    "standing_signers",
    "unrevoked_signers",
]
