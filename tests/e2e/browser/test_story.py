"""A report's whole life, on the pages alone."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from api.crypto.words import key_words
from schemas.callers import Role
from tests.e2e.browser.acts import MESSAGE, button, check, go, receipt, report, sign_in, submit
from tests.e2e.browser.conftest import Phone
from tests.e2e.conftest import eventually, people, serving
from tests.factories import World

PASSPHRASE = "violet umbrella on the late tram"
STORY = "He locked the door. <b>Said</b> “no” — \u0633\u0644\u0627\u0645"
NEW = 250
DANGER = "danger: do not meet"


def join_desk(phone: Phone, invitation: str) -> str:
    """Join as a moderator; return the words that the operator compares."""
    page = phone.open("/desk")
    page.get_by_text("Join with an invitation").first.click()
    page.get_by_label("Your invitation").fill(invitation)
    page.get_by_label("Choose a passphrase").fill(PASSPHRASE)
    page.get_by_label("The same passphrase again").fill(PASSPHRASE)
    button(page, "Make my keys").click()
    page.get_by_role("heading", name="Read these words to your operator").wait_for()
    return " ".join(page.locator(".words li").all_inner_texts())


def look_again_until_active(page: Page) -> None:
    def active() -> bool:
        again = page.get_by_role("button", name="Look again", exact=True)
        if page.locator(".words").is_visible():
            again.click()
        return page.get_by_role("button", name="Queue", exact=True).is_visible()

    eventually(active)


def look(page: Page) -> None:
    """Fetch the queue anew, which must have a report."""
    page.get_by_role("button", name="Look again", exact=True).first.click()
    page.locator(".queue .entry").first.wait_for()


def decide(page: Page, key: str) -> str:
    """Open the first report of the queue, decide by the key, confirm; return what happened."""
    look(page)
    page.locator(".queue .entry").first.click()
    page.get_by_text(STORY).wait_for()
    page.keyboard.press(key)
    page.locator("form.panel").wait_for()
    page.keyboard.press(key)
    told = page.locator(".did")
    told.wait_for()
    return told.inner_text()


def test_a_report_is_filed_signed_by_two_found_and_withdrawn(
    make_phone: Callable[..., Phone], own_world: World, tmp_path: Path
) -> None:
    people(own_world)
    own_world.identities.add_collective("lily")
    own_world.sign_identity()
    with serving(own_world, tmp_path) as server:
        desks = []
        for _ in range(2):
            desk = make_phone(server.address, viewport={"width": 1280, "height": 844})
            words = join_desk(desk, server.invitation("lily", Role.MODERATOR))
            desks.append((desk, words))
        listed = {
            key_words(one.sign, one.box).replace(" / ", " ")
            for collective in own_world.sign_identity().collectives
            for one in collective.moderators
        }
        assert {words for _, words in desks} <= listed
        for desk, _ in desks:
            look_again_until_active(desk.page)

        worker = make_phone(server.address)
        page = sign_in(worker, server.invitation("lily"))
        assert check(page, MESSAGE.format(NEW)) == ["No warning found. This does not mean safe."]
        digits = report(page, NEW, STORY)
        assert "No moderator has seen it" in receipt(page, digits)

        first, second = (desk.page for desk, _ in desks)
        assert "1 of 2" in decide(first, "a")
        for desk, _ in desks:
            assert desk.axe() == []
            desk.shoot(f"desk-report-{desks.index((desk, _))}")
        decide(second, "a")
        go(page, "Check")
        found: list[str] = []

        def published() -> bool:
            found[:] = check(page, MESSAGE.format(NEW))
            return "report" in found[0]

        eventually(published)
        assert found == [f"1 report from 1 collective, most serious: {DANGER}"]

        go(page, "Receipt")
        button(page, "Another receipt").click()
        page.get_by_label("16 digits").fill(re.sub(r"\s", "", digits))
        submit(page)
        button(page, "Take it back").click()
        button(page, "Yes, take it back").click()
        expect(page.get_by_role("main")).to_contain_text("taken back")
        go(page, "Check")
        eventually(lambda: "No warning" in check(page, MESSAGE.format(NEW))[0])

        # A desk that is locked shows nothing of what was read.
        first.locator("#lock").click()
        first.get_by_role("heading", name=re.compile("desk")).wait_for()
        assert STORY not in first.content()
