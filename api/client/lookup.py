"""The steps of a private look-up (PROTOCOL.md §3)."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus

from api.client.failures import NO_INSTANCE, CouldNotCheck, Unreachable
from api.client.session import Session
from api.crypto.buckets import (
    Bucket,
    Counts,
    bucket_index,
    bucket_word,
    check_age,
    find,
    open_bucket,
)
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier
from api.crypto.oprf import blind, unblind, verify
from api.crypto.ristretto import Element, element, scalar_from_uniform
from api.crypto.stretching import Cost, stretch
from schemas.base import Kind
from schemas.documents import Identity
from schemas.lookups import (
    MOST_ELEMENTS,
    EvaluationAnswer,
    EvaluationRequest,
    LookupAnswer,
    LookupResult,
)

Chance = Callable[[int], bytes]
_MOST = 255
_ETAG = re.compile(r'"[!#-~]{1,100}"')
_NONSENSE = "The list says something that this program does not understand."


def derive_tokens(
    session: Session, identity: Identity, identifiers: Sequence[Identifier], chance: Chance
) -> list[Element]:
    """Return the tokens of `identifiers` (steps 1 to 3), about 100 ms each.

    `chance(n)` gives n random bytes, 64 for each blind. Raises InvalidInput `bad-proof`, and as
    a session does.
    """
    cost = Cost(identity.argon2id.m_kib, identity.argon2id.t)
    once = list(dict.fromkeys(identifiers))
    tokens: list[Element] = []
    for start in range(0, len(once), MOST_ELEMENTS):
        batch = once[start : start + MOST_ELEMENTS]
        stretched = [stretch(one, identity.network, cost) for one in batch]
        tokens += _evaluated(session, identity, stretched, chance)
    found = dict(zip(once, tokens, strict=True))
    return [found[one] for one in identifiers]


def _evaluated(
    session: Session, identity: Identity, stretched: Sequence[bytes], chance: Chance
) -> list[Element]:
    blinds = [scalar_from_uniform(chance(64)) for _ in stretched]
    blinded = [blind(x, r) for x, r in zip(stretched, blinds, strict=True)]
    request = EvaluationRequest(epoch=identity.epoch, elements=list(blinded))
    answer = session.message(
        EvaluationAnswer, "POST", "/v1/evaluations", json=request.model_dump(mode="json")
    )
    if answer.epoch != identity.epoch or [part.share for part in answer.parts] != [0]:
        raise InvalidInput("bad-proof")
    try:
        evaluated = [element(received) for received in answer.parts[0].elements]
        verify(element(identity.public_key), blinded, evaluated, answer.parts[0].proof)
    except InvalidInput:
        raise InvalidInput("bad-proof") from None
    return [unblind(one, r) for one, r in zip(evaluated, blinds, strict=True)]


class Buckets:
    """Sealed buckets of one instance; each is asked for again, but sent only if it changed."""

    def __init__(self, session: Session) -> None:
        """Begin with none."""
        self._session = session
        self._held: dict[tuple[int, int, int], tuple[str, Bucket]] = {}

    def forget(self) -> None:
        """Drop what is held, when the layout has changed."""
        self._held.clear()

    def find(self, identity: Identity, bits: int, tokens: Sequence[bytes]) -> list[Counts | None]:
        """Return what the list says about each token, None for no entry (steps 4 to 6).

        Raises CouldNotCheck, InvalidInput `bucket-…`, and as a session does.
        """
        words = [bucket_word(token, identity.network, identity.epoch) for token in tokens]
        indices = [bucket_index(word, bits) for word in words]
        # In order of their numbers: which of them was asked for first says nothing then.
        buckets = {index: self._fetch(identity, bits, index) for index in sorted(set(indices))}
        found = [find(buckets[i], token) for i, token in zip(indices, tokens, strict=True)]
        if any(counts is not None and counts.total == 0 for counts in found):
            raise CouldNotCheck(_NONSENSE)
        return found

    def _fetch(self, identity: Identity, bits: int, index: int) -> Bucket:
        key = (identity.epoch, bits, index)
        etag, held = self._held.get(key, ("", None))
        answer = self._session.call(
            "GET",
            f"/v1/buckets/{identity.epoch}/{bits}/{index}",
            headers={"If-None-Match": etag} if etag else {},
        )
        if held is not None and answer.status_code == HTTPStatus.NOT_MODIFIED:
            # That it has not changed does not make it fresh.
            self._session.dated(lambda now: check_age(held, int(now.timestamp())))
            return held

        def opened(now: datetime) -> Bucket:
            return open_bucket(
                answer.content,
                network=identity.network,
                epoch=identity.epoch,
                bits=bits,
                index=index,
                log_key=identity.log_key,
                now=int(now.timestamp()),
                small=identity.network.startswith("test-"),
            )

        bucket = self._session.dated(opened)
        self._held[key] = (_etag(answer.headers.get("etag", "")), bucket)
        return bucket


def _etag(text: str) -> str:
    """Return an entity tag (RFC 9110 §8.8.3), or nothing for what can't be sent back."""
    return text if _ETAG.fullmatch(text) else ""


def look_up_plainly(session: Session, identifiers: Sequence[Identifier]) -> list[Counts | None]:
    """Ask in clear (PROTOCOL.md §4): the instance sees who is asked about, and must be believed.

    Raises CouldNotCheck, and as a session does.
    """
    found: list[Counts | None] = []
    for start in range(0, len(identifiers), MOST_ELEMENTS):
        batch = identifiers[start : start + MOST_ELEMENTS]
        asked = [{"kind": Kind(one.kind).value, "value": one.canonical} for one in batch]
        answer = session.message(LookupAnswer, "POST", "/v1/lookups", json={"identifiers": asked})
        if len(answer.results) != len(batch):
            raise Unreachable(NO_INSTANCE)
        found += [_counts(result) for result in answer.results]
    return found


def _counts(result: LookupResult) -> Counts | None:
    reports = result.reports
    counts = Counts(
        danger=reports.danger,
        risk=reports.risk,
        nuisance=reports.nuisance,
        collectives=result.collectives,
        recent=reports.recent,
    )
    numbers = (reports.danger, reports.risk, reports.nuisance, result.collectives, reports.recent)
    if min(numbers) < 0 or max(numbers) > _MOST or result.match != (counts.total > 0):
        raise CouldNotCheck(_NONSENSE)
    return counts if result.match else None
