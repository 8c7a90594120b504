"""Who calls: invitations, bearer tokens, and their end (PROTOCOL.md §5)."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr

from api.crypto.bearers import Letter, bearer_digest, code_digest, new_bearer, new_code
from api.crypto.joining import check_join
from api.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from api.services.instance import Chance, Clock, Instance, to_the_hour
from api.services.quotas import Quotas
from api.services.strangers import Strangers
from api.store.engine import Store
from api.store.transaction import Transaction
from api.trust import active_moderators
from schemas.callers import (
    Caller,
    InvitationAnswer,
    IssuedInvitation,
    JoinAnswer,
    JoinKeys,
    JoinRequest,
    Role,
)
from schemas.documents import Status
from schemas.reports import MOST_READERS
from schemas.tables import AuditRow

INVITATION_LIFE = timedelta(days=7)
REMEMBERED_SECONDS = 2.0
MOST_REMEMBERED = 4_096
LETTERS: Mapping[Role, Letter] = {Role.MEMBER: "m", Role.MODERATOR: "d"}


@dataclass(slots=True)
class _Memory:
    """Who was recognised a moment ago; a revocation is felt when the moment is over."""

    callers: OrderedDict[bytes, tuple[float, Caller]] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, digest: bytes) -> Caller | None:
        """Return the caller, if it was recognised a moment ago."""
        until, caller = self.callers.get(digest, (0.0, None))
        return caller if time.monotonic() < until else None

    def put(self, digest: bytes, caller: Caller) -> None:
        """Remember the caller for a moment."""
        with self.lock:
            self.callers[digest] = (time.monotonic() + REMEMBERED_SECONDS, caller)
            self.callers.move_to_end(digest)
            if len(self.callers) > MOST_REMEMBERED:
                self.callers.popitem(last=False)

    def drop(self, digest: bytes | None = None) -> None:
        """Forget one caller, or all."""
        with self.lock:
            if digest is None:
                self.callers.clear()
            else:
                self.callers.pop(digest, None)


class Callers:
    """Each public method is one transaction."""

    def __init__(
        self, store: Store, instance: Instance, quotas: Quotas, clock: Clock, chance: Chance
    ) -> None:
        """Work with the given parts; keep nothing but a short memory of who was recognised."""
        self._store = store
        self._instance = instance
        self._quotas = quotas
        self._clock = clock
        self._chance = chance
        self._memory = _Memory()
        self._strangers = Strangers(self._digests)

    def remembered(self, bearer: str) -> Caller | None:
        """Return the caller of `bearer` if it was recognised a moment ago; costs no query.

        Raises RateLimited for a stranger's in a flood of them.
        """
        digest = bearer_digest(bearer)
        caller = self._memory.get(digest)
        if caller is None:
            self._strangers.screen(digest)
        return caller

    def recognise(self, bearer: str) -> Caller:
        """Return the caller of `bearer`; raise Unauthenticated where it is nobody's."""
        digest = bearer_digest(bearer)
        try:
            caller = self._store.glance(lambda tx: self._find(tx, digest, bearer))
        except Unauthenticated:
            self._strangers.count()
            raise
        self._memory.put(digest, caller)
        return caller

    def forget_all(self) -> None:
        """Forget who was recognised of late, so that the next question asks the database."""
        self._memory.drop()

    def redeem(self, request: JoinRequest) -> JoinAnswer:
        """Turn a single-use code into a bearer token; raise NotFound for any other code.

        A moderator's code needs her keys. A refusal for another reason leaves the code usable.
        """
        code = request.code.get_secret_value()
        digest, now = code_digest(code), int(self._clock().timestamp())
        # Only read at first: no flood of wrong codes shall keep others from writing.
        with self._store.read() as tx:
            if tx.callers.invited(digest, now) is None:
                raise NotFound
        with self._store.begin() as tx:
            row = tx.callers.redeem(digest, now)
            if row is None or tx.collectives.status(row.collective) != Status.ACTIVE:
                raise NotFound
            role = Role(row.role)
            moderator = self._enrol(tx, row.collective, role, request.keys, code)
            bearer = new_bearer(LETTERS[role], self._chance)
            tx.callers.add(bearer_digest(bearer), row.member, row.collective, role, moderator)
        self._strangers.welcome(bearer_digest(bearer))
        return JoinAnswer(token=bearer, role=role, collective=row.collective)

    def invite(self, collective: str, role: Role, count: int) -> InvitationAnswer:
        """Make `count` codes for new members or moderators of `collective`; raise NotFound."""
        expires = int((self._clock() + INVITATION_LIFE).timestamp())
        issued = [
            IssuedInvitation(id=self._chance(16).hex(), code=new_code(self._chance))
            for _ in range(count)
        ]
        with self._store.begin() as tx:
            if tx.collectives.status(collective) != "active":
                raise NotFound
            for one in issued:
                tx.callers.invite(code_digest(one.code), one.id, collective, role, expires)
        return InvitationAnswer(invitations=issued)

    def leave(self, caller: Caller) -> None:
        """End the caller's own token, as after the loss of a phone."""
        digest = bearer_digest(caller.bearer.get_secret_value())
        with self._store.begin() as tx:
            tx.callers.end(digest)
        self._memory.drop(digest)

    def end_member(self, caller: Caller, member: str) -> None:
        """End a token, or an unused code, of the caller's collective; raise NotFound."""
        moderator = moderating(caller)
        with self._store.begin() as tx:
            if not tx.callers.end_member(caller.collective, member):
                raise NotFound
            tx.audit.add(self._ended(caller.collective, member, moderator))

    def revoke(self, collective: str, member: str | None) -> int:
        """End one token, or all, of `collective`, as the operator; return how many."""
        with self._store.begin() as tx:
            if member is not None:
                ended = int(tx.callers.end_member(collective, member))
            else:
                ended = tx.callers.end_collective(collective)
            if ended:
                tx.audit.add(self._ended(collective, member or "all", "operator"))
        return ended

    def members(self, collective: str) -> list[tuple[str, str]]:
        """Return the id and role of every token of `collective`."""
        with self._store.read() as tx:
            return tx.callers.members(collective)

    def _digests(self) -> Sequence[bytes]:
        with self._store.read() as tx:
            return tx.callers.digests()

    def _find(self, tx: Transaction, digest: bytes, bearer: str) -> Caller:
        row = tx.callers.find(digest)
        if row is None:
            raise Unauthenticated
        role = Role.MEMBER
        if row.moderator is not None:
            for one in active_moderators(self._instance.refresh(tx), row.collective):
                if (one.id, one.sign) == (row.moderator, row.sign):
                    role = Role.MODERATOR
        return Caller(
            member=row.member,
            collective=row.collective,
            role=role,
            moderator=row.moderator if role is Role.MODERATOR else None,
            bearer=SecretStr(bearer),
        )

    def _enrol(
        self, tx: Transaction, collective: str, role: Role, keys: JoinKeys | None, code: str
    ) -> str | None:
        if (role is Role.MODERATOR) != (keys is not None):
            raise InvalidRequest
        if keys is None:
            return None
        check_join(keys.sign, keys.box, code, keys.proof)
        identity = self._instance.refresh(tx)
        # Such keys the next identity could not announce, nor anybody else's after them.
        used = {*identity.root.keys, *identity.http_keys, identity.log_key}
        if (
            keys.sign == keys.box
            or not used.isdisjoint((keys.sign, keys.box))
            or tx.collectives.key_known(keys.sign, keys.box)
        ):
            raise Conflict
        colleagues = [one for one in tx.collectives.moderators() if one.collective == collective]
        if sum(one.status in ("pending", Status.ACTIVE) for one in colleagues) >= MOST_READERS:
            raise Conflict
        moderator = f"m-{self._chance(8).hex()}"
        tx.collectives.add_moderator(moderator, collective, keys.sign, keys.box)
        return moderator

    def _ended(self, collective: str, subject: str, actor: str) -> AuditRow:
        at = to_the_hour(self._clock())
        return AuditRow(at=at, collective=collective, subject=subject, actor=actor, after="ended")


def moderating(caller: Caller) -> str:
    """Return the caller's id as a moderator; raise Forbidden where she is none."""
    if caller.moderator is None:
        raise Forbidden
    return caller.moderator
