"""Checkpoints: what a log says of itself, and whether it is new enough to go by."""

from datetime import datetime, timedelta

from api.crypto.failures import InvalidInput
from api.trust.envelopes import check_sole_signature, decoded
from schemas.base import as_time
from schemas.documents import Checkpoint, Envelope

_OLDEST = timedelta(days=7)
_AHEAD = timedelta(minutes=5)


def open_checkpoint(envelope: Envelope, log_key: bytes) -> Checkpoint:
    """Return the checkpoint in an envelope, which the key of its log has signed.

    Of which log it is, and whether it can be the head, says `check_head`. Raises `malformed`,
    also for more signatures than one; `unknown-key`, `bad-signature`.
    """
    checkpoint = decoded(envelope, Checkpoint, "malformed")
    check_sole_signature(envelope, log_key)
    return checkpoint


def check_head(checkpoint: Checkpoint, *, log: str, now: datetime) -> None:
    """Accept a checkpoint as the head of `log` at `now` (with a time zone).

    Raises `wrong-log`; `stale-head` if it is older than 7 days, `clock-skew` if it was issued
    over 5 minutes ahead of our clock.
    """
    if checkpoint.log != log:
        raise InvalidInput("wrong-log")
    issued = as_time(checkpoint.issued)
    if issued < now - _OLDEST:
        raise InvalidInput("stale-head")
    if issued > now + _AHEAD:
        raise InvalidInput("clock-skew")
