"""What a newcomer does with the demo: all that its lines say, in a browser."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from api.moderating import ModeratorKeys
from tests.e2e.browser.acts import button, check, go, report, sign_in
from tests.e2e.browser.conftest import Phone
from tests.e2e.browser.test_story import STORY, decide
from tests.e2e.conftest import eventually
from tests.e2e.demo import Demo

PASTED = "hi are u free at 8? 07700 900113"
EXPECTED = "2 reports from 2 collectives, most serious: danger: do not meet"


def bring_keys(phone: Phone, file: str, passphrase: str, access: str) -> Page:
    """Open the desk with the files of the command line."""
    page = phone.open("/desk")
    page.get_by_text("Bring keys from the command line").first.click()
    page.get_by_label("Key file (moderator.keys)").set_input_files(file)
    page.get_by_label("Access line").fill(access)
    page.get_by_label("Passphrase").fill(passphrase)
    button(page, "Bring them").click()
    page.get_by_role("button", name="Queue", exact=True).wait_for()
    return page


def test_the_demo_is_used_as_it_says(
    make_phone: Callable[..., Phone], demo: Demo, tmp_path: Path
) -> None:
    address = demo.line("address")
    worker = make_phone(address)
    people = demo.profile.parent
    invited = demo.parasol(
        "moderator", "invite", "--profile", str(people / "northern-collective-demo-1.json")
    )
    page = sign_in(worker, invited.stdout)
    assert check(page, PASTED) == [EXPECTED]
    worker.shoot("demo-answer")
    report(page, 942, STORY)

    shown = re.findall(
        r"^  northern\S+\n    key file: (\S+)\n    passphrase: (.+)\n    access: (\S+)$",
        demo.printed,
        re.MULTILINE,
    )
    desks = []
    for file, passphrase, access in shown:
        desk = make_phone(address, viewport={"width": 1280, "height": 900})
        desks.append((desk, bring_keys(desk, file, passphrase, access), passphrase))
    for _, tab, _ in desks:
        decide(tab, "a")
    go(page, "Check")
    number = "07700 900942"
    eventually(lambda: check(page, number)[0].startswith("1 report from 1 collective"))

    # What was kept in the browser opens on the command line.
    desk, tab, passphrase = desks[0]
    tab.locator("#lock").click()
    tab.get_by_text("Copy or remove these keys").click()
    with tab.expect_download() as download:
        button(tab, "Save a copy").click()
    saved = tmp_path / "moderator.keys"
    download.value.save_as(saved)
    brought = ModeratorKeys.unlock(Path(shown[0][0]).read_bytes(), passphrase)
    assert ModeratorKeys.unlock(saved.read_bytes(), passphrase).kid == brought.kid
    assert desk.stored()["databases"] == ["notes"]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("code", ["en", "ar"])
def test_each_state_of_the_desk_is_accessible(
    make_phone: Callable[..., Phone], demo: Demo, code: str, theme: str
) -> None:
    (found,) = re.findall(
        r"^  spreelicht\S+\n    key file: (\S+)\n    passphrase: (.+)\n    access: (\S+)$",
        demo.printed,
        re.MULTILINE,
    )
    phone = make_phone(demo.line("address"))
    page = bring_keys(phone, *found)

    def look(state: str, key: str | None = None) -> None:
        """In another language and theme, switched in place, and back for the next act.

        A question, asked by `key`, is taken back when the language changes.
        """
        page.locator("#language").select_option(code)
        page.wait_for_selector(f"html[lang={code}]")
        page.evaluate("(theme) => { document.documentElement.className = theme }", theme)
        if key is not None:
            page.keyboard.press(key)
            page.locator("form.panel").wait_for()
        assert phone.axe() == [], state
        phone.shoot(f"desk-{state}-{code}-{theme}")
        page.locator("#language").select_option("en")
        page.wait_for_selector("html[lang=en]")

    page.locator(".queue .entry").first.wait_for()
    look("queue")
    page.locator(".queue .entry").first.click()
    page.locator(".decisions").wait_for()
    look("report")
    look("reject", "r")
    button(page, "Back to the list").click()
    for tab in ("Find", "Members", "My keys", "Shortcuts"):
        page.get_by_role("button", name=tab, exact=True).click()
        look(tab.lower().replace(" ", "-"))
    page.locator("#lock").click()
    page.get_by_label("Passphrase").wait_for()
    look("locked")
