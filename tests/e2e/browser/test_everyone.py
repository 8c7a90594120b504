"""The pages for everyone: languages, directions, themes, sizes, assistive technology."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.e2e.browser.acts import MESSAGE, check, go, paste, sign_in, submit
from tests.e2e.browser.conftest import Phone
from tests.e2e.conftest import LISTED, TWICE, UNLISTED, Server

LANGUAGES = ("ar", "en", "es", "fr")
# What is on the phone does not depend on the database behind the server.
pytestmark = [
    pytest.mark.usefixtures("cast"),
    pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True),
]

PATHS = ("/", "/desk", "/about", "/notice", "/safety")
THEMES = ("dark", "light")
SURROUNDINGS = [(code, theme) for code in ("en", "ar") for theme in THEMES]


def name_of(path: str) -> str:
    return path.strip("/") or "start"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_each_page_is_accessible(
    make_phone: Callable[..., Phone], server: Server, code: str, theme: str, path: str
) -> None:
    phone = make_phone(server.address)
    page = phone.open(f"{path}?lang={code}&theme={theme}")
    assert page.locator("html").get_attribute("lang") == code
    assert page.locator("html").get_attribute("dir") == ("rtl" if code == "ar" else "ltr")
    assert page.locator("html").get_attribute("class") == theme
    assert page.locator("h1").count() == 1
    assert phone.axe() == []
    # Pictures of one language in each direction: the others differ in their words alone.
    phone.shoot(f"{name_of(path)}-{code}-{theme}", picture=code in {"en", "ar"})


@pytest.mark.parametrize(("code", "theme"), SURROUNDINGS)
def test_each_state_of_a_worker_is_accessible(
    make_phone: Callable[..., Phone], server: Server, code: str, theme: str
) -> None:
    phone = make_phone(server.address)
    page = sign_in(phone, server.invitation("rose"))

    def look(state: str) -> None:
        """In another language and theme, switched in place, and back for the next act."""
        page.get_by_role("combobox", name="Language").select_option(code)
        page.wait_for_function(f"() => document.documentElement.lang === '{code}'")
        page.evaluate(f"() => {{ document.documentElement.className = '{theme}' }}")
        assert phone.axe() == [], state
        phone.shoot(f"{state}-{code}-{theme}")
        page.locator("#language").select_option("en")
        page.wait_for_function("() => document.documentElement.lang === 'en'")

    look("check")
    submit(page)
    page.locator(".error").first.wait_for()
    assert phone.axe() == []
    phone.shoot(f"check-empty-{theme}")
    paste(page, MESSAGE.format(TWICE), None)
    page.get_by_label("Which country is this number from?").wait_for()
    look("check-country")
    check(page, f"07700 900{TWICE} +44 7700 900{UNLISTED} +44 7700 900{LISTED}")
    look("answer")
    go(page, "Report")
    paste(page, MESSAGE.format(UNLISTED))
    look("report-who")
    submit(page)
    page.get_by_label("Robbery").check()
    page.get_by_text("More (optional)").click()
    look("report-what")
    submit(page)
    page.get_by_label("In which month?").select_option(index=1)
    submit(page)
    page.get_by_label("Everyone who checks").check()
    look("report-consent")
    go(page, "Receipt")
    look("receipt")
    go(page, "Access")
    look("access")


def test_the_language_is_that_of_the_browser_and_can_be_changed_in_place(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address, locale="es-MX")
    page = phone.open()
    assert page.locator("html").get_attribute("lang") == "es"
    page.locator("#language").select_option("en")
    page.get_by_label("Paste the line you were given").fill(server.invitation("rose"))
    page.locator("#language").select_option("ar")
    page.wait_for_function("() => document.documentElement.dir === 'rtl'")
    page.locator("#language").select_option("en")
    page.get_by_role("heading", name="Sign in").wait_for()
    # Neither what was typed nor, later, the session is lost.
    submit(page)
    page.get_by_label("Not at all", exact=True).check()
    page.locator("#language").select_option("fr")
    page.wait_for_function("() => document.documentElement.lang === 'fr'")
    page.locator("#language").select_option("en")
    page.get_by_role("heading", name="You are signed in").wait_for()


def test_words_at_twice_the_size_fit_a_small_screen(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address, viewport={"width": 320, "height": 640})
    page = sign_in(phone, server.invitation("rose"))
    check(page, MESSAGE.format(TWICE))
    page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wider) <= 0
    assert page.get_by_role("link", name="Leave").is_visible()
    page.screenshot(path=phone.artefact("twice-the-size-320"))


def test_nothing_moves_for_who_wants_no_motion(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    page: Page = make_phone(server.address, reduced_motion="reduce").open()
    moving = page.evaluate("() => document.getAnimations().filter(a => a.effect.getTiming().iterations > 1).length")  # fmt: skip  # noqa: E501
    assert moving == 0


def test_an_answer_is_told_by_words_and_shape_as_well_as_colour(
    make_phone: Callable[..., Phone], server: Server
) -> None:
    phone = make_phone(server.address, forced_colors="active")
    page = sign_in(phone, server.invitation("rose"))
    check(page, f"+44 7700 900{TWICE} +44 7700 900{UNLISTED}", None)
    assert re.search("danger", page.locator(".verdict").first.inner_text())
    drawn = page.locator(".answer svg").evaluate_all("all => all.map(one => one.innerHTML)")
    assert len(set(drawn)) == 2
