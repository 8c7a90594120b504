"""What is left on a phone: nothing that was not asked for."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from api.crypto.bearers import parse_invitation
from tests.e2e.browser.acts import MESSAGE, button, check, go, paste, sign_in, submit
from tests.e2e.browser.conftest import Phone
from tests.e2e.conftest import TWICE, Cast, Server, eventually

pytestmark = pytest.mark.usefixtures("cast")

BEFORE = "data:text/html,<title>before</title><p>before"
NOTHING = {
    "cookies": "", "local": 0, "session": 0, "databases": [], "caches": [], "workers": 0,
}  # fmt: skip
SECRET = MESSAGE.format(TWICE)


def leave_by_button(page: Page) -> None:
    page.get_by_role("link", name="Leave").click()


def leave_by_shift(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press("Shift")


@pytest.mark.parametrize("leave", [leave_by_button, leave_by_shift])
def test_leaving_is_at_once_and_back_does_not_return(
    make_phone: Callable[..., Phone], server: Server, leave: Callable[[Page], None]
) -> None:
    phone = make_phone(server.address)
    phone.page.goto(BEFORE)
    page = sign_in(phone, server.invitation("rose"))
    page.get_by_role("link", name="About").click()
    page.get_by_role("button", name="Go there").click()
    page.wait_for_url("**/about**")
    page.get_by_role("link", name="Start").click()
    phone.ready()
    page.get_by_label("Paste the line you were given").fill(SECRET)
    leave(page)
    page.wait_for_url("about:blank")
    assert page.title() == ""
    page.go_back()
    assert page.title() == "before"
    page.go_forward()
    assert page.url == "about:blank"


def test_leaving_blanks_the_page_before_anything_else_answers(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address)
    page = sign_in(phone, server.invitation("rose"))
    paste(page, SECRET)
    shown = page.evaluate("""() => {
      document.getElementById("leave").click();
      return [document.body.innerText, document.title, document.querySelectorAll("*").length];
    }""")
    assert shown[:2] == ["", ""]
    page.wait_for_url("about:blank")


def test_nothing_is_stored_unless_asked_for(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address)
    page = sign_in(phone, server.invitation("rose"))
    check(page, SECRET)
    assert phone.stored() == NOTHING
    assert phone.context.cookies() == []
    phone.open()
    assert page.get_by_label("Paste the line you were given").input_value() == ""


def test_nothing_typed_comes_back_with_the_page(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address)
    page = sign_in(phone, server.invitation("rose"))
    paste(page, SECRET)
    page.goto(BEFORE)
    page.go_back()
    phone.ready()
    assert "900" not in page.content()
    assert page.evaluate("() => [...document.querySelectorAll('textarea,input')].map(f => f.value)") == [""]  # fmt: skip  # noqa: E501


def test_access_is_kept_under_a_pin_and_forgotten_after_five_wrong_ones(
    make_phone: Callable[..., Phone], server: Server, cast: Cast
) -> None:
    phone = make_phone(server.address)
    root = parse_invitation(server.invitation("rose")).root.hex()
    page = phone.open()
    page.get_by_label("Paste the line you were given").fill(f"{cast.member}.rose.{root}")
    submit(page)
    page.get_by_label("With a PIN on this phone").check()
    submit(page)
    page.get_by_label("Choose a PIN").fill("271828")
    page.get_by_label("The same PIN again").fill("271828")
    submit(page)
    page.get_by_role("heading", name="Check").wait_for()
    assert phone.stored() == NOTHING | {"databases": ["notes"]}
    kept = page.evaluate(KEPT)
    assert cast.member not in kept
    assert root not in kept

    phone.open()
    page.get_by_label("PIN", exact=True).fill("271828")
    submit(page)
    page.get_by_role("heading", name="Check").wait_for()
    assert len(check(page, SECRET)) == 1

    phone.open()
    for _ in range(5):
        page.get_by_label("PIN", exact=True).fill("314159")
        submit(page)
        page.locator(".summary, .notice").first.wait_for()
        page.wait_for_function("() => !document.querySelector('[inert]')")
    page.get_by_label("Paste the line you were given").wait_for()
    assert phone.stored() == NOTHING


KEPT = """async () => {
  const open = await new Promise((done) => {
    const asked = indexedDB.open("notes");
    asked.onsuccess = () => done(asked.result);
  });
  const all = await new Promise((done) => {
    const asked = open.transaction("kept").objectStore("kept").getAll();
    asked.onsuccess = () => done(asked.result);
  });
  open.close();
  return JSON.stringify(all);
}"""


def test_ending_ones_access_ends_it_everywhere(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address)
    page = sign_in(phone, server.invitation("rose"))
    go(page, "Access")
    button(page, "Show my access line").click()
    line = page.get_by_label("Your access line")
    page.wait_for_function("() => document.querySelector('textarea')?.value")
    access = line.input_value()
    button(page, "Back").click()
    button(page, "End my access").click()
    submit(page)
    page.get_by_role("heading", name="Sign in").wait_for()
    page.get_by_label("Paste the line you were given").fill(access)
    submit(page)
    page.get_by_text("Your access has ended").first.wait_for()


@pytest.mark.parametrize("missing", ["scripts", "WebAssembly", "Worker"])
def test_without_the_means_the_page_says_why_and_whom_to_ask(
    make_phone: Callable[..., Phone], server: Server, missing: str
) -> None:
    options: dict[str, Any] = {"java_script_enabled": False} if missing == "scripts" else {}
    phone = make_phone(server.address, **options)
    if missing != "scripts":
        phone.context.add_init_script(f"delete globalThis.{missing}")
    phone.page.goto(server.address)
    main = phone.page.get_by_role("main")
    why = "Scripts are switched off" if missing == "scripts" else "background workers"
    eventually(lambda: why in main.inner_text())
    assert "the person who invited you" in main.inner_text()
    assert phone.page.get_by_role("link", name="Leave").get_attribute("href") == "about:blank"
    assert main.get_by_role("textbox").count() == 0
    phone.complaints.clear()  # Chromium notes what was loaded ahead for a script in vain
