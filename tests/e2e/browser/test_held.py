"""Partners' reports on the desk: seen from the queue, accepted by keys, refused by a button."""

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from schemas.base import Severity
from schemas.feed import Policy
from tests.e2e.browser.acts import button
from tests.e2e.browser.conftest import Phone
from tests.e2e.browser.test_newcomer import bring_keys
from tests.e2e.conftest import Server, eventually, this_month
from tests.e2e.test_held import total
from tests.e2e.test_web_desk import in_hand
from tests.factories import Moderator
from tests.foreign import Partner

# What is on the desk does not depend on the database behind the server.
pytestmark = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True)
ACCEPTED, REFUSED, ERASED = 840, 841, 842


@dataclass
class Violet:
    """A collective of one moderator, whose instance follows another one."""

    server: Server
    partner: Partner
    moderator: Moderator
    member: str
    keys: Path

    @property
    def month(self) -> str:
        return this_month(self.server.world)

    def counts(self, number: int) -> bool:
        return total(self.server, self.member, number) == 1

    def at_the_desk(self, phone: Phone) -> Page:
        hand = in_hand(self.moderator, self.server)
        self.keys.write_text(hand["keys"])
        return bring_keys(phone, str(self.keys), hand["passphrase"], hand["access"])


@pytest.fixture
def violet(server: Server, tmp_path: Path) -> Iterator[Violet]:
    name = f"violet-{secrets.token_hex(4)}"
    world = server.world
    (moderator,) = world.collective(name, 1)
    member = world.member(name).bearer.get_secret_value()
    eventually(lambda: server.serves_newest(moderator.bearer))
    partner = Partner(world, f"{name}.example")
    yield Violet(server, partner, moderator, member, tmp_path / "moderator.keys")
    # What waits is shown to all moderators here, whichever test they are in.
    world.parts.partners.remove(partner.origin)


def go(page: Page, view: str) -> None:
    page.get_by_role("navigation", name=re.compile("desk")).get_by_role(
        "button", name=view, exact=True
    ).click()


def said(page: Page, sentence: str) -> None:
    expect(page.locator(".did")).to_contain_text(sentence)


def test_a_moderator_decides_what_is_held_of_a_partner_s_reports(
    make_phone: Callable[..., Phone], violet: Violet
) -> None:
    partner, month = violet.partner, violet.month
    partner.set_policy(Policy.AUTO, "fern")
    partner.report(REFUSED, month=month, severity=Severity.RISK)
    partner.report(ACCEPTED, month=month)
    partner.report(ERASED, month=month, collective="fern", severity=Severity.RISK, erasing=True)
    eventually(lambda: violet.counts(ERASED))
    phone = make_phone(violet.server.address)
    page = violet.at_the_desk(phone)
    page.get_by_role("button", name="From partners 3 reports wait").click()
    cards = page.locator(".held > li")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text("danger", ignore_case=True)
    expect(cards.nth(0)).to_contain_text(partner.origin)
    expect(cards.nth(1)).to_contain_text("until one of you accepts it")
    expect(cards.nth(2)).to_contain_text("Its erasure is held")
    assert phone.axe() == []
    phone.shoot("desk-held")

    # Danger is first, and the first press only asks.
    for key in "jka":
        page.keyboard.press(key)
    expect(cards.nth(0)).to_contain_text("It will warn everybody here")
    assert phone.axe() == []
    page.keyboard.press("Escape")
    assert not violet.counts(ACCEPTED)
    for key in "aa":
        page.keyboard.press(key)
    said(page, "Accepted. It counts within a minute.")
    eventually(lambda: violet.counts(ACCEPTED))

    # By buttons now; then the next one has the focus.
    button(page, "Refuse").click()
    button(page, "Refuse").click()
    said(page, "Refused. It does not count here.")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    said(page, "Deleted here, too.")
    eventually(lambda: not violet.counts(ERASED))
    assert phone.axe() == []
    go(page, "Queue")
    expect(page.get_by_text("From partners 3")).to_have_count(0)


def test_what_a_colleague_has_decided_is_not_decided_again(
    make_phone: Callable[..., Phone], violet: Violet
) -> None:
    entry = violet.partner.report(month=violet.month)
    phone = make_phone(violet.server.address)
    page = violet.at_the_desk(phone)
    go(page, "From partners")
    cards = page.locator(".held > li")
    expect(cards).to_have_count(1)
    world = violet.server.world
    world.parts.held.decide(bytes.fromhex(entry), world.caller(violet.moderator), accept=False)
    for key in "aa":
        page.keyboard.press(key)
    expect(cards.nth(0)).to_contain_text("This has changed in the meantime.")
    page.locator("#language").select_option("ar")
    page.wait_for_selector("html[dir=rtl]")
    expect(cards).to_have_count(1)
    assert phone.axe() == []
    phone.shoot("desk-held-ar")
    page.locator("#language").select_option("en")
    page.wait_for_selector("html[lang=en]")
    button(page, "Look again").click()
    page.get_by_text("Nothing from partners waits.").wait_for()
    assert phone.axe() == []
