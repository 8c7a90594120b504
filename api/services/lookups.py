"""Look-ups, private and plain (PROTOCOL.md §§3, 4)."""

from api.crypto.buckets import bucket_index, bucket_word, find, open_bucket
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import element
from api.errors import NotFound, PlainLookupsDisabled, StaleEpoch, StaleLayout, Unavailable
from api.services.instance import Clock, Instance
from api.services.quotas import Limits, Quotas
from api.services.sealing import SealedFile, SealedList, Shelf
from api.services.stretching import Stretching, canonical
from schemas.base import CATEGORIES
from schemas.callers import Caller
from schemas.lookups import (
    MOST_ELEMENTS,
    NO_MATCH,
    BucketLayout,
    CategoryInfo,
    EvaluationAnswer,
    EvaluationPart,
    EvaluationRequest,
    LookupAnswer,
    LookupLimits,
    LookupQuery,
    LookupResult,
    NetworkInfo,
    ReportCounts,
    StretchingCost,
)


class Lookups:
    """Answers from memory: no look-up reads or writes the database."""

    def __init__(
        self, instance: Instance, shelf: Shelf, quotas: Quotas, limits: Limits,
        stretching: Stretching, clock: Clock, *, plain: bool,
    ) -> None:  # fmt: skip
        """Answer plain look-ups only where `plain` says so."""
        self._instance = instance
        self._shelf = shelf
        self._quotas = quotas
        self._limits = limits
        self._stretching = stretching
        self._clock = clock
        self._plain = plain

    def evaluate(self, request: EvaluationRequest, caller: Caller) -> EvaluationAnswer:
        """Multiply blinded elements by the network key, with a proof (RFC 9497 §3.3.2)."""
        identity = self._instance.identity
        if request.epoch != identity.epoch:
            raise self._stale(StaleEpoch)
        elements = [element(received) for received in request.elements]
        self._quotas.spend(caller, len(elements))
        parts = self._instance.evaluator.evaluate(elements)
        return EvaluationAnswer(
            epoch=identity.epoch,
            parts=[
                EvaluationPart(share=part.share, elements=list(part.elements), proof=part.proof)
                for part in parts
            ],
        )

    def bucket(self, epoch: int, bits: int, index: int) -> SealedFile:
        """Return a sealed bucket; raise StaleEpoch, StaleLayout or NotFound."""
        shelf = self._shelf.current(self._clock())
        if epoch != shelf.epoch:
            raise self._stale(StaleEpoch)
        if bits != shelf.layout.bits:
            raise self._stale(StaleLayout)
        if not 0 <= index < len(shelf.files):
            raise NotFound
        return shelf.files[index]

    def answer(self, query: LookupQuery, caller: Caller) -> LookupAnswer:
        """Answer identifiers in clear, as a client would for itself; keep nothing of them."""
        if not self._plain:
            raise PlainLookupsDisabled
        identifiers = [canonical(given) for given in query.identifiers]
        shelf = self._shelf.current(self._clock())
        with self._stretching.places(len(identifiers)):
            self._quotas.spend(caller, len(identifiers))
            tokens = self._stretching.tokens(
                identifiers, self._instance.identity, self._instance.evaluator
            )
        return LookupAnswer(results=[self._found(shelf, token) for token in tokens])

    def network(self) -> NetworkInfo:
        """Describe the network and this instance's limits, unsigned."""
        identity = self._instance.identity
        layout = self._shelf.current(self._clock()).layout
        return NetworkInfo(
            network=identity.network,
            epoch=identity.epoch,
            public_key=identity.public_key,
            log_public_key=identity.log_key,
            argon2id=StretchingCost(m_kib=identity.argon2id.m_kib, t=identity.argon2id.t),
            buckets=BucketLayout(bits=layout.bits, slots=layout.slots),
            limits=LookupLimits(
                elements=MOST_ELEMENTS,
                identifiers=MOST_ELEMENTS,
                per_hour=self._limits.per_hour,
                per_day=self._limits.per_day,
            ),
            plain_lookups=self._plain,
            categories=[
                CategoryInfo(id=category, severity=rule.severity, shared=rule.shared)
                for category, rule in CATEGORIES.items()
            ],
        )

    def _found(self, shelf: SealedList, token: bytes) -> LookupResult:
        identity = self._instance.identity
        word = bucket_word(token, identity.network, shelf.epoch)
        index = bucket_index(word, shelf.layout.bits)
        try:
            bucket = open_bucket(
                shelf.files[index].file,
                network=identity.network,
                epoch=identity.epoch,
                bits=shelf.layout.bits,
                index=index,
                log_key=identity.log_key,
                now=int(self._clock().timestamp()),
                small=self._instance.is_test,
            )
        except InvalidInput:
            raise Unavailable from None
        counts = find(bucket, token)
        if counts is None:
            return NO_MATCH
        return LookupResult(
            match=True,
            reports=ReportCounts(
                total=counts.total,
                danger=counts.danger,
                risk=counts.risk,
                nuisance=counts.nuisance,
                recent=counts.recent,
            ),
            collectives=counts.collectives,
        )

    def _stale(self, kind: type[StaleEpoch | StaleLayout]) -> StaleEpoch | StaleLayout:
        shelf = self._shelf.current(self._clock())
        return kind(epoch=shelf.epoch, bits=shelf.layout.bits, slots=shelf.layout.slots)
