from schemas.reports import Status
from tests.factories import World


def test_a_danger_report_that_two_moderators_signed_is_found(world: World) -> None:
    moderators = world.collective("rose")
    member = world.member("rose")
    receipt = world.publish(member, moderators, 113)
    assert world.status(receipt) is Status.PUBLISHED
    found = world.look_up(113, member)
    assert (found.match, found.reports.danger, found.collectives) == (True, 1, 1)
    assert not world.look_up(999, member).match
