"""What is deleted is gone from the files, not only from the answers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from api.errors import Conflict
from schemas.moderation import Rejection, RejectReason
from schemas.reports import MOST_READERS, Status
from tests.factories import Moderator, World


def files_of(world: World) -> bytes:
    """Every byte of the database, as a thief would find it."""
    if world.url.startswith("sqlite"):
        database = Path(world.url.removeprefix("sqlite:///"))
        return b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))
    engine = create_engine(world.url)
    with engine.connect() as connection:
        names = connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        ).scalars()
        rows = [
            repr([bytes(v) if isinstance(v, memoryview) else v for v in row])
            for name in names
            for row in connection.execute(text(f'SELECT * FROM "{name}"'))
        ]
    engine.dispose()
    return "".join(rows).encode()


def withdraw(world: World, receipt: str, _: Moderator) -> None:
    world.withdraw(receipt)


def reject(world: World, _: str, moderator: Moderator) -> None:
    rejection = Rejection(reason=RejectReason.OUTSIDE_RULES)
    (item,) = world.queue(moderator)
    world.parts.moderation.reject(item.id, rejection, world.caller(moderator))


def expire(world: World, _: str, __: Moderator) -> None:
    world.clock.pass_(days=2000)


@pytest.mark.parametrize(
    ("ending", "final"),
    [
        (withdraw, Status.WITHDRAWN),
        (reject, Status.REJECTED),
        (expire, Status.EXPIRED),
    ],
)
def test_an_ended_report_leaves_nothing_in_the_files_but_its_receipt(
    world: World, ending: Callable[[World, str, Moderator], None], final: Status
) -> None:
    (moderator,) = world.collective("rose", 1)
    member = world.member("rose")
    receipt = world.file(member, 113)
    (item,) = world.queue(moderator)
    token, request_id, box = item.identifiers[0].token, item.request_id, item.sealed.box[:48]
    world.round()
    before = files_of(world)
    assert request_id.encode() in before  # else the search below would find nothing in any case
    ending(world, receipt, moderator)
    world.round()
    world.round()
    after = files_of(world)
    assert world.status(receipt) is final
    assert request_id.encode() not in after
    for secret in (token, box):
        assert secret not in after
        assert repr(secret).encode() not in after


def test_a_collective_has_no_more_moderators_than_an_account_is_sealed_to(world: World) -> None:
    world.identities.add_collective("rose")
    for _ in range(MOST_READERS):
        world.join("rose")
    with pytest.raises(Conflict):
        world.join("rose")
    world.sign_identity()
    member = world.member("rose")
    assert world.status(world.file(member, 113)) is Status.SUBMITTED
