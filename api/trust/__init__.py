"""Who may sign what: identities and their succession, signatures, entries (PROTOCOL.md §7).

Pure, with time as an argument, and shared by everyone who verifies: the client, the moderators'
tools, the server, the follower of a feed. Every refusal is an InvalidInput with a code of §10.
"""

from api.trust.checkpoints import check_head, open_checkpoint
from api.trust.entries import (
    GRACE,
    YEARS,
    LogEntry,
    latest_expiry,
    open_log_entry,
    open_report,
    open_retract,
)
from api.trust.identities import (
    CLOCK_SKEW,
    LIFETIME,
    check_current,
    follow_chain,
    next_identity,
    open_identity,
    root_fingerprint,
    verify_backwards,
)
from api.trust.moderators import (
    active_moderators,
    moderators_of,
    revocations,
    signatures_needed,
    signers,
    standing_signers,
    unrevoked_signers,
)
from api.trust.pages import OpenedPage, entry_leaf, open_page

__all__ = [
    "CLOCK_SKEW",
    "GRACE",
    "LIFETIME",
    "YEARS",
    "LogEntry",
    "OpenedPage",
    "active_moderators",
    "check_current",
    "check_head",
    "entry_leaf",
    "follow_chain",
    "latest_expiry",
    "moderators_of",
    "next_identity",
    "open_checkpoint",
    "open_identity",
    "open_log_entry",
    "open_page",
    "open_report",
    "open_retract",
    "revocations",
    "root_fingerprint",
    "signatures_needed",
    "signers",
    "standing_signers",
    "unrevoked_signers",
    "verify_backwards",
]
