"""The desk's rarer moments: what can't be read, what has ended beside, another language."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from schemas.callers import Role
from schemas.reports import Status
from tests.e2e.browser.acts import button
from tests.e2e.browser.conftest import Phone
from tests.e2e.browser.test_newcomer import bring_keys
from tests.e2e.conftest import Server, eventually, this_month
from tests.e2e.test_web_desk import PASSPHRASE, in_hand
from tests.factories import Moderator, World

# What is on the desk does not depend on the database behind the server.
pytestmark = [
    pytest.mark.usefixtures("cast"),
    pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True),
]
COLLECTIVE = "iris"
FIRST = 860


@dataclass
class Iris:
    """A collective with two moderators."""

    world: World
    server: Server
    moderators: list[Moderator]

    def file(self, number: int, times: int = 1) -> list[str]:
        """Let one member report a number; return the receipts."""
        member = self.world.member(COLLECTIVE)
        month = this_month(self.world)
        return [self.world.file(member, number, month=month) for _ in range(times)]

    def at_the_desk(self, phone: Phone, moderator: Moderator, folder: Path) -> Page:
        hand = in_hand(moderator, self.server)
        file = folder / "moderator.keys"
        file.write_text(hand["keys"])
        page = bring_keys(phone, str(file), hand["passphrase"], hand["access"])
        page.locator(".queue .entry").first.wait_for()
        return page


@pytest.fixture(scope="module")
def iris(server: Server) -> Iris:
    world = server.world
    moderators = world.collective(COLLECTIVE)
    eventually(lambda: server.serves_newest(moderators[0].bearer))
    return Iris(world, server, moderators)


def reject(page: Page) -> None:
    """By keys alone: R, the fourth reason, that it is not readable, R."""
    page.get_by_role("heading", name="Decide").wait_for()
    for key in "r4r":
        page.keyboard.press(key)
    expect(page.locator(".did")).to_contain_text("Rejected")


def test_who_cant_read_a_report_can_reject_it(
    make_phone: Callable[..., Phone], iris: Iris, tmp_path: Path
) -> None:
    (receipt,) = iris.file(FIRST)
    late = iris.world.join(COLLECTIVE)
    iris.world.sign_identity()
    phone = make_phone(iris.server.address)
    page = iris.at_the_desk(phone, late, tmp_path)
    row = page.locator(".queue .entry", has_text="not locked for you").last
    row.click()
    page.get_by_role("heading", name="be opened now").wait_for()
    assert phone.axe() == []
    phone.shoot("desk-not-sealed-to-her")
    reject(page)
    assert iris.world.status(receipt) is Status.REJECTED


def test_what_differs_from_what_was_sealed_is_not_signed_but_rejected(
    make_phone: Callable[..., Phone], iris: Iris, tmp_path: Path
) -> None:
    (receipt,) = iris.file(FIRST + 1)
    phone = make_phone(iris.server.address)
    changed: list[Any] = []

    def change(route: Route) -> None:
        answer = route.fetch()
        document = answer.json()
        for item in document["items"]:
            changed.append(item)
            item["month"] = "2020-01"
        route.fulfill(response=answer, json=document)

    phone.context.route("**/v1/moderation/reports?*", change)
    page = iris.at_the_desk(phone, iris.moderators[0], tmp_path)
    page.locator(".queue .entry").last.click()
    page.get_by_role("heading", name="What the instance shows").wait_for()
    assert changed
    assert button(page, "Approve").count() == 0
    page.keyboard.press("a")
    assert page.locator("form.panel").count() == 0
    assert phone.axe() == []
    phone.shoot("desk-mismatch")
    reject(page)
    assert iris.world.status(receipt) is Status.REJECTED


def test_a_report_that_was_merged_is_no_longer_told_of(
    make_phone: Callable[..., Phone], iris: Iris, tmp_path: Path
) -> None:
    receipts = iris.file(FIRST + 2, times=2)
    page = iris.at_the_desk(make_phone(iris.server.address), iris.moderators[0], tmp_path)
    rows = page.locator(".queue .entry", has_text="1 more by this reporter")
    expect(rows).to_have_count(2)
    rows.first.click()
    page.get_by_role("heading", name="Decide").wait_for()
    page.keyboard.press("m")
    page.keyboard.press("1")
    page.keyboard.press("m")
    expect(page.locator(".did")).to_contain_text("Merged")
    expect(rows).to_have_count(1)  # the one that has ended, which still says of which it was part
    ended = {iris.world.status(one) for one in receipts} - {Status.SUBMITTED, Status.IN_REVIEW}
    assert ended == {Status.MERGED}


def test_what_was_typed_at_the_door_outlasts_another_language(
    make_phone: Callable[..., Phone], iris: Iris
) -> None:
    page = make_phone(iris.server.address).open("/desk")
    button(page, "Join with an invitation").click()
    line = iris.server.invitation(COLLECTIVE, Role.MODERATOR)
    page.get_by_label("Your invitation").fill(line)
    page.get_by_label("Choose a passphrase").fill(PASSPHRASE)
    page.locator("#language").select_option("ar")
    page.wait_for_selector("html[lang=ar]")
    assert page.locator("main textarea").input_value() == line
    page.locator("#language").select_option("en")
    page.wait_for_selector("html[lang=en]")
    assert page.get_by_label("Choose a passphrase").input_value() == PASSPHRASE
