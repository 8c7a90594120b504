"""What people do on the pages, by what they see there."""

import re
from datetime import UTC, datetime

from playwright.sync_api import Locator, Page

from tests.e2e.browser.conftest import Phone

MESSAGE = "hi are u free at 8? 07700 900{:03}"


def button(page: Page, name: str) -> Locator:
    """The button in the page's main part, or its dialogue, that has this name."""
    return page.get_by_role("main").get_by_role("button", name=name, exact=True)


def submit(page: Page) -> None:
    """Press the button that goes on."""
    page.locator("main form button[type=submit]").click()


def sign_in(phone: Phone, line: str, way: str = "Not at all") -> Page:
    """Paste a line; choose how to get back in."""
    page = phone.open()
    page.get_by_label("Paste the line you were given").fill(line)
    submit(page)
    page.get_by_role("heading", name="You are signed in").wait_for()
    page.get_by_label(way, exact=True).check()
    submit(page)
    return page


def paste(page: Page, text: str, country: str | None = "GB") -> None:
    """Paste a message, and say which country its number is from."""
    page.get_by_label("Paste a message, a number or an e-mail").fill(text)
    if country is not None:
        page.get_by_label("Which country is this number from?").select_option(country)


def check(page: Page, text: str, country: str | None = "GB") -> list[str]:
    """Check what is in a message; return what is said of each."""
    another = button(page, "Check another")
    if another.is_visible():
        another.click()
    paste(page, text, country)
    submit(page)
    page.get_by_role("heading", name="Answer").wait_for()
    return page.locator(".verdict").all_inner_texts()


def go(page: Page, view: str) -> None:
    """Go to another part of the page."""
    page.get_by_role("navigation", name="Parts of this page").get_by_role(
        "button", name=view, exact=True
    ).click()


def report(page: Page, number: int, account: str, category: str = "Robbery") -> str:
    """Report a danger that may warn everyone; return the receipt, as it is shown."""
    go(page, "Report")
    paste(page, MESSAGE.format(number))
    submit(page)
    page.get_by_label(category, exact=True).check()
    page.get_by_label("In which month?").select_option(f"{datetime.now(UTC):%Y-%m}")
    page.get_by_label("What should the moderators know?").fill(account)
    submit(page)
    page.get_by_label("Everyone who checks").check()
    submit(page)
    page.get_by_role("heading", name="Done").wait_for()
    digits = page.locator(".digits").inner_text()
    assert re.fullmatch(r"\d{4}( \d{4}){3}", digits)
    page.get_by_label("I have kept it").check()
    submit(page)
    return digits


def receipt(page: Page, digits: str) -> str:
    """Ask how a report stands; return the sentence."""
    go(page, "Receipt")
    page.get_by_label("16 digits").fill(digits)
    submit(page)
    button(page, "Another receipt").wait_for()
    return page.get_by_role("main").inner_text()
