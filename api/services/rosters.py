"""Collectives and moderators, as an identity lists them and as they are now."""

from collections.abc import Sequence

from api.store.transaction import Transaction
from schemas.documents import Collective, Identity, Moderator, Status

PENDING = "pending"


def adopt_roster(tx: Transaction, identity: Identity) -> None:
    """Bring collectives and moderators to where a signed identity says that they are."""
    known = {one.id: one for one in tx.collectives.moderators()}
    for collective in identity.collectives:
        status = tx.collectives.status(collective.id)
        if status is None:
            tx.collectives.add(collective.id)
            status = Status.ACTIVE
        tx.collectives.set_status(collective.id, status, collective.status)
        for one in collective.moderators:
            if one.id not in known:
                tx.collectives.add_moderator(one.id, collective.id, one.sign, one.box)
            before = known[one.id].status if one.id in known else PENDING
            tx.collectives.set_moderator_status(one.id, before, one.status)


def newcomers(pinned: Identity, draft: Identity) -> list[tuple[str, Moderator]]:
    """Return the moderators, with their collective, whom `draft` announces for the first time.

    Whoever signs the draft compares the keys of these, and of no list that may be another by then.
    """
    known = {one.id for collective in pinned.collectives for one in collective.moderators}
    return [
        (collective.id, one)
        for collective in draft.collectives
        for one in collective.moderators
        if one.id not in known
    ]


def has_unannounced_ends(tx: Transaction, pinned: Identity) -> bool:
    """Tell whether somebody who is active in `pinned` is so no longer."""
    now = _statuses(listed(tx, pinned))
    return any(
        status is Status.ACTIVE and now.get(who) is not Status.ACTIVE
        for who, status in _statuses(pinned.collectives).items()
    )


def _statuses(collectives: Sequence[Collective]) -> dict[str, Status]:
    found = {f"c {one.id}": one.status for one in collectives}
    found |= {f"m {who.id}": who.status for one in collectives for who in one.moderators}
    return found


def agrees(signed_ones: Sequence[Collective], ours: Sequence[Collective]) -> bool:
    """Tell whether what was signed is still so; who came since the draft waits for the next.

    An identity that announced somebody we have no row of could never be followed by another.
    """
    held = {(one.id, one.status): frozenset(one.moderators) for one in ours}
    return all(
        (one.id, one.status) in held and held[one.id, one.status].issuperset(one.moderators)
        for one in signed_ones
    )


def listed(tx: Transaction, pinned: Identity) -> tuple[Collective, ...]:
    """Return every collective with its moderators: those of `pinned` in their order, then new."""
    order = {one.id: place for place, one in enumerate(pinned.collectives)}
    rows = sorted(tx.collectives.all(), key=lambda row: (order.get(row.id, len(order)), row.id))
    moderators = tx.collectives.moderators()
    return tuple(
        Collective(
            id=row.id,
            status=Status(row.status),
            moderators=tuple(
                Moderator(
                    id=one.id,
                    sign=one.sign,
                    box=one.box,
                    status=Status.ACTIVE if one.status == PENDING else Status(one.status),
                )
                for one in moderators
                if one.collective == row.id
            ),
        )
        for row in rows
    )
