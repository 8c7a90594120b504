"""Look-ups, private and plain (PROTOCOL.md §§3, 4)."""

from api.crypto.buckets import Counts, bucket_index, bucket_word, find, open_bucket
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import element
from api.errors import NotFound, PlainLookupsDisabled, StaleEpoch, StaleLayout, Unavailable
from api.services.instance import Clock, Instance
from api.services.quotas import Limits, Quotas
from api.services.serving import SealedFile, SealedList, Serving
from api.services.stretching import Stretching, canonical, token
from schemas.base import CATEGORIES
from schemas.callers import Caller
from schemas.documents import Identity
from schemas.lookups import (
    MOST_ELEMENTS,
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

NOTHING = Counts(0, 0, 0, 0, 0)


class Lookups:
    """Answers from memory: no look-up reads or writes the database."""

    def __init__(
        self, instance: Instance, quotas: Quotas, limits: Limits, stretching: Stretching,
        clock: Clock, *, plain: bool,
    ) -> None:  # fmt: skip
        """Answer plain look-ups only where `plain` says so."""
        self._instance = instance
        self._quotas = quotas
        self._limits = limits
        self._stretching = stretching
        self._clock = clock
        self._plain = plain

    def evaluate(self, request: EvaluationRequest, caller: Caller) -> EvaluationAnswer:
        """Multiply blinded elements by the network key, with a proof (RFC 9497 §3.3.2)."""
        serving = self._instance.serving
        epoch = serving.held.identity.epoch
        if request.epoch != epoch:
            raise self._stale(StaleEpoch, serving)
        elements = [element(received) for received in request.elements]
        self._quotas.spend(caller, len(elements))
        parts = serving.held.evaluator.evaluate(elements)
        return EvaluationAnswer(
            epoch=epoch,
            parts=[
                EvaluationPart(share=part.share, elements=list(part.elements), proof=part.proof)
                for part in parts
            ],
        )

    def bucket(self, epoch: int, bits: int, index: int) -> SealedFile:
        """Return a sealed bucket; raise StaleEpoch, StaleLayout or NotFound."""
        serving = self._instance.serving
        sealed = serving.fresh(self._clock())
        if epoch != sealed.epoch:
            raise self._stale(StaleEpoch, serving)
        if bits != sealed.layout.bits:
            raise self._stale(StaleLayout, serving)
        if not 0 <= index < len(sealed.files):
            raise NotFound
        return sealed.files[index]

    async def answer(self, query: LookupQuery, caller: Caller) -> LookupAnswer:
        """Answer identifiers in clear, as a client would for itself; keep nothing of them."""
        if not self._plain:
            raise PlainLookupsDisabled
        identifiers = [canonical(given) for given in query.identifiers]
        serving = self._instance.serving
        sealed, held = serving.fresh(self._clock()), serving.held
        with self._stretching.places(len(identifiers)):
            self._quotas.spend(caller, len(identifiers))
            results = await self._stretching.each(
                lambda one: self._found(
                    sealed, held.identity, token(one, held.identity, held.evaluator)
                ),
                identifiers,
            )
        return LookupAnswer(results=results)

    def network(self) -> NetworkInfo:
        """Describe the network and this instance's limits, unsigned."""
        serving = self._instance.serving
        identity, layout = serving.held.identity, serving.fresh(self._clock()).layout
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

    def _found(self, sealed: SealedList, identity: Identity, sought: bytes) -> LookupResult:
        word = bucket_word(sought, identity.network, identity.epoch)
        index = bucket_index(word, sealed.layout.bits)
        try:
            bucket = open_bucket(
                sealed.files[index].file,
                network=identity.network,
                epoch=identity.epoch,
                bits=sealed.layout.bits,
                index=index,
                log_key=identity.log_key,
                now=int(self._clock().timestamp()),
                small=self._instance.is_test,
            )
        except InvalidInput:
            raise Unavailable from None
        found = find(bucket, sought)
        # Nothing is put together as something is: neither takes longer.
        counts = NOTHING if found is None else found
        return LookupResult(
            match=found is not None,
            reports=ReportCounts(
                total=counts.total,
                danger=counts.danger,
                risk=counts.risk,
                nuisance=counts.nuisance,
                recent=counts.recent,
            ),
            collectives=counts.collectives,
        )

    def _stale(
        self, kind: type[StaleEpoch | StaleLayout], serving: Serving
    ) -> StaleEpoch | StaleLayout:
        sealed = serving.fresh(self._clock())
        return kind(epoch=sealed.epoch, bits=sealed.layout.bits, slots=sealed.layout.slots)
