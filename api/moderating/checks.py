"""What is compared before anything is signed (PROTOCOL.md §6). Pure; nothing is sent from here."""

import contextlib
from collections.abc import Sequence
from datetime import date
from typing import Final

from api.client import CouldNotCheck
from api.crypto.envelopes import entry_id, key_id, verify
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.sealing import open_box, open_box_key
from api.moderating.keys import ModeratorKeys
from api.trust import moderators_of, open_report, open_retract, standing_signers
from schemas.canonical import MalformedDocument
from schemas.documents import (
    Envelope,
    Identity,
    ReportDocument,
    ReportedIdentifier,
    Retract,
    RetractReason,
    Signature,
)
from schemas.moderation import QueueItem
from schemas.reports import ReportRequest, SealedPlaintext, TokenIdentifier

_WORDS: Final = {
    "epoch": "epoch",
    "categories": "categories",
    "severity": "severity",
    "month": "month",
    "consent": "consent",
    "wait_days": "waiting time",
    "request_id": "request number",
    "identifiers": "identifiers",
}
_MADE_ANEW: Final = frozenset({"epoch", "identifiers"})


class Mismatch(CouldNotCheck):
    """What the instance shows is not what was sealed or signed. Nothing may be decided on it."""


def box_key(item: QueueItem, keys: ModeratorKeys) -> bytes:
    """Return the key of a report's box, which is sealed to her. Raises Mismatch."""
    for one in item.sealed.keys:
        if one.kid == keys.kid:
            try:
                return open_box_key(one.sealed, keys.box)
            except InvalidInput:
                raise Mismatch("The account cannot be opened with your key.") from None
    raise Mismatch("The account is not sealed to you; a colleague who can must open it.")


def plaintext(item: QueueItem, key: bytes) -> SealedPlaintext:
    """Return what the reporter sealed; `key` opens the box. Raises Mismatch."""
    # Raised outside it has no context: a validation error may quote the account.
    with contextlib.suppress(ValueError):
        text = open_box(item.sealed.nonce, item.sealed.box, key)
        return SealedPlaintext.model_validate_json(text)
    raise Mismatch("The account cannot be read.")


def compare_request(item: QueueItem, request: ReportRequest, identity: Identity) -> None:
    """Accept a report of which the instance shows what was sealed. Raises Mismatch.

    After a rotation the instance has made the tokens anew, and only `compare_tokens` can tell.
    """
    if item.epoch != identity.epoch or request.epoch > item.epoch:
        raise Mismatch("The report is of another epoch than the network.")
    rotated = request.epoch < item.epoch
    for name in ReportRequest.model_fields:
        if rotated and name in _MADE_ANEW:
            continue
        if getattr(request, name) != getattr(item, name):
            raise Mismatch(f"The instance shows another {_WORDS[name]} than the reporter sealed.")


def identifiers(sealed: SealedPlaintext) -> tuple[Identifier, ...]:
    """Return the identifiers that the reporter sealed, in their order. Raises Mismatch."""
    found = []
    try:
        for one, text in zip(sealed.request.identifiers, sealed.canonical, strict=True):
            written = text.get_secret_value()
            identifier = parse_identifier(one.kind, written, None)
            if identifier.canonical != written:
                raise Mismatch("An identifier is not in canonical form.")
            found.append(identifier)
    except ValueError:
        raise Mismatch("The identifiers of the account cannot be read.") from None
    return tuple(found)


def compare_tokens(item: QueueItem, found: Sequence[Identifier], tokens: Sequence[bytes]) -> None:
    """Accept a report that is filed under the tokens of the identifiers in it. Raises Mismatch."""
    derived = [(one.kind, token) for one, token in zip(found, tokens, strict=True)]
    if derived != _pairs(item.identifiers):
        raise Mismatch("The report is filed under another identifier than the one in the account.")


def first_signed(
    item: QueueItem, identity: Identity, collective: str, today: date
) -> ReportDocument | None:
    """Return what a colleague has signed as her approval of this report, if one has.

    Raises Mismatch where it is not about this report, or nobody's signature on it holds.
    """
    if item.envelope is None:
        return None
    try:
        document = open_report(item.envelope, identity, today=today)
    except InvalidInput as refusal:
        raise Mismatch(f"The first approval is refused ({refusal.code}).") from None
    if document.collective != collective:
        raise Mismatch("The first approval is of another collective.")
    if _pairs(document.identifiers) != _pairs(item.identifiers):
        raise Mismatch("The first approval is about another identifier.")
    if document.replaces != item.replaces:
        raise Mismatch("The first approval replaces another report.")
    _require_standing(item.envelope, identity, collective)
    return document


def published_report(
    item: QueueItem, envelope: Envelope | None, identity: Identity, collective: str
) -> ReportDocument:
    """Return what was signed, in `envelope`, of a report that was approved. Raises Mismatch.

    It may have been signed in an earlier epoch, by moderators who are no longer active.
    """
    if envelope is None:
        raise Mismatch("The instance shows no signed report.")
    if envelope.payload_type != ReportDocument.payload_type:
        raise Mismatch("The signed document is no report.")
    try:
        document = ReportDocument.decode(envelope.payload)
    except MalformedDocument:
        raise Mismatch("The signed report is malformed.") from None
    if (document.origin, document.collective) != (identity.origin, collective):
        raise Mismatch("The signed report is of another collective.")
    signed, shown = _pairs(document.identifiers), _pairs(item.identifiers)
    if document.epoch < item.epoch == identity.epoch:
        # The tokens were made anew since, and only the kinds can still be compared.
        signed, shown = [(kind, b"") for kind, _ in signed], [(kind, b"") for kind, _ in shown]
    if signed != shown:
        raise Mismatch("The signed report is about another identifier.")
    if not _is_signed(envelope, identity, collective):
        raise Mismatch("The signed report was not signed by your collective.")
    return document


def check_replaced(item: QueueItem, identity: Identity, collective: str) -> None:
    """Accept the entry that a report released from a dispute replaces. Raises Mismatch.

    Else an instance could have another warning of the collective taken away by a signature.
    """
    if item.replaces is None:
        return
    former = published_report(item, item.former, identity, collective)
    if entry_id(former.payload_type, former.encode()) != item.replaces:
        raise Mismatch("The instance asks to replace another report than the former one.")


def first_retracted(
    item: QueueItem, wanted: tuple[bytes, RetractReason], identity: Identity, collective: str,
    today: date,
) -> Retract | None:  # fmt: skip
    """Return what a colleague has signed to take this report back, if one has.

    `wanted` is the target and the reason of what is to be signed now. Raises Mismatch where
    hers differ, or nobody's signature on it holds.
    """
    if item.retraction is None:
        return None
    try:
        document = open_retract(item.retraction, identity, today=today)
    except InvalidInput as refusal:
        raise Mismatch(f"The first retraction is refused ({refusal.code}).") from None
    if document.collective != collective:
        raise Mismatch("The first retraction is of another collective.")
    if document.target != wanted[0]:
        raise Mismatch("The first retraction is about another report.")
    if document.reason is not wanted[1]:
        raise Mismatch(f"The first retraction has another reason ({document.reason}).")
    _require_standing(item.retraction, identity, collective)
    return document


def standing(envelope: Envelope, identity: Identity, collective: str) -> tuple[Signature, ...]:
    """Return the signatures of `envelope` that count today."""
    return tuple(
        one
        for one in envelope.signatures
        if standing_signers(
            envelope.model_copy(update={"signatures": (one,)}), identity, collective
        )
    )


def _require_standing(envelope: Envelope, identity: Identity, collective: str) -> None:
    if not standing(envelope, identity, collective):
        raise Mismatch("No signature of a colleague holds: release it and sign anew.")


def _is_signed(envelope: Envelope, identity: Identity, collective: str) -> bool:
    keys = {key_id(one.sign): one.sign for one in moderators_of(identity, collective)}
    for one in envelope.signatures:
        try:
            verify(keys[one.keyid], envelope.payload_type, envelope.payload, one.sig)
        except (KeyError, InvalidInput):
            continue
        return True
    return False


def _pairs(
    identifiers: Sequence[TokenIdentifier] | Sequence[ReportedIdentifier],
) -> list[tuple[str, bytes]]:
    return [(one.kind, one.token) for one in identifiers]
