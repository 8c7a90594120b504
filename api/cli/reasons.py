"""Why a partner could not be followed, in words for the operator here.

Every sentence is ours: of what a partner said only the code is kept.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the words alone need not wait for a server's parts
    from api.services.partners import PartnerLine

_PAGE = "It sent a page of its log that does not hold together; nothing of it was taken."
_QUESTION = "It did not understand what we asked: is it of another version?"
_LATER = "It cannot answer now; we ask again later."
_NOT_ASKED_YET = "It has added this instance, and still has to ask it who it is: it will."
_PARTED = "It no longer knows this instance: its operator removed it, or has our former key."
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "stopped": "We stopped asking.",
        "unreachable": "No answer came from its address: is it running, and its name a public one?",
        "bad-answer": "What answered is no Parasol instance, or a proxy changes its answers.",
        "too-large": "It sent more than an instance sends.",
        "not-a-partner": "It does not know this instance: its operator must add it, too.",
        "partner-blocked": "Its operator has blocked this instance.",
        "unauthenticated": "Our signature did not reach it: does a proxy drop header fields?",
        "forbidden": "It does not let us ask this.",
        "bad-signature": "A signature does not hold: ours there, or its own here. A proxy may have"
        " changed the address, path or query.",
        "clock-skew": "Its clock and ours differ by more than five minutes: one of them is wrong.",
        "unknown-log": "It knows no such log.",
        "cursor-in-future": "It says that its log is shorter than what it sent before.",
        "log-closed": "It has ended its log, and its identity names no other yet.",
        "limit-too-large": _QUESTION,
        "invalid-request": _QUESTION,
        "not-found": _QUESTION,
        "method-not-allowed": _QUESTION,
        "header-too-large": _QUESTION,
        "too-slow": _LATER,
        "rate-limited": "It asks us to come back later.",
        "unavailable": _LATER,
        "internal": _LATER,
        "wrong-network": "It is of another network, or has another network key: its warnings could"
        " not be found here.",
        "wrong-epoch": "It has gone on to a network key that we do not have yet.",
        "identity-refresh": "Its log speaks of an identity that it did not show us yet.",
        "identity-refused": "Its identity does not follow from the root fingerprint that was"
        " compared, or has expired.",
        "stale-head": "Its newest checkpoint is over seven days old: it hides what came since, or"
        " its server does not run.",
        "rollback": "It shows a log that is shorter than one that it had signed.",
        "fork": "It signed two logs that cannot both be true.",
        "unexplained-elision": "It took entries out of its log and never said why.",
        "quarantined": "It is in quarantine: see parasol partner list.",
        "unknown-key": "Its log is signed by a key that its identity does not name.",
        "malformed": "It sent a document that is not written as it must be.",
        "wrong-log": _PAGE,
        "wrong-cursor": _PAGE,
        "wrong-order": _PAGE,
        "truncated-page": _PAGE,
        "root-mismatch": _PAGE,
        "page-too-large": _PAGE,
        "entry-too-large": _PAGE,
    }
)


def of_partner(line: "PartnerLine", code: str) -> str:
    """Return the sentence for what `code` stands for where it is about that partner."""
    if code == "not-a-partner" and line.identity_version:
        # Who showed us its identity has added us.
        return f"{_NOT_ASKED_YET if line.synced_at is None else _PARTED} ({code})"
    return why(code)


def why(code: str) -> str:
    """Return the sentence for what `code` stands for, with the code behind it."""
    return f"{REASONS.get(code, 'It was refused.')} ({code})"


def no_partner(origin: str) -> str:
    """Return the sentence for an origin that is no partner's."""
    return f"{origin} is no partner: see parasol partner list."
