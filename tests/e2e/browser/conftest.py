"""Phones: a browser context each, watched for what it stores, sends and complains of."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.browser import chromium
from tests.conftest import FIGURE

HERE = Path(__file__).resolve().parents[3]
ARTEFACTS = HERE / "build" / "screenshots"
AXE = HERE / "api/web/node_modules/axe-core/axe.min.js"
WIDTHS = (320, 390, 1280)
SHOT = 30_000
"""Milliseconds for a picture: two browsers may share two cores with all else."""

VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
RUN_AXE = """async () => (await axe.run(document, {
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`)"""
STORED = """async () => ({
  cookies: document.cookie,
  local: localStorage.length,
  session: sessionStorage.length,
  databases: (await indexedDB.databases()).map((one) => one.name),
  caches: await caches.keys(),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
})"""


@dataclass
class Phone:
    """One browser context with one page at one address."""

    address: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        """Open a path of the instance and wait until the page is ready for use."""
        self.page.goto(self.address + path)
        self.ready()
        return self.page

    def ready(self) -> None:
        """Wait until the page has started."""
        self.page.wait_for_function("() => !document.querySelector('.starting')")

    def stored(self) -> dict[str, Any]:
        """What the browser keeps of the page."""
        kept: dict[str, Any] = self.page.evaluate(STORED)
        return kept

    def axe(self) -> list[str]:
        """What an accessibility checker finds wrong with what is shown now."""
        self.page.evaluate("() => scrollTo(0, 0)")  # what lies under the bar is no small target
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.page.evaluate(RUN_AXE)
        return found

    def artefact(self, name: str) -> Path:
        """Where a picture is kept for whoever wants to look at it."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        return ARTEFACTS / f"{name}.png"

    def shoot(self, name: str, *, picture: bool = True) -> None:
        """Keep a picture of what is shown at each width, of which none may be too narrow."""
        before = self.page.viewport_size
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 844})
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert self.page.evaluate(wider) <= 0, f"{name} scrolls sideways at {width} px"
            if picture:
                self.page.screenshot(
                    path=self.artefact(f"{name}-{width}"), full_page=True, timeout=SHOT
                )
        if before is not None:
            self.page.set_viewport_size(before)

    def foreign(self) -> list[str]:
        """Requests that went anywhere else than to the instance."""
        here = urlsplit(self.address).netloc
        local = {"data", "blob", "about"}
        addresses = [urlsplit(one.url) for one in self.requests]
        return [one.geturl() for one in addresses if one.netloc != here and one.scheme not in local]

    def violations(self) -> list[str]:
        """Violations of the content security policy on the page that is shown."""
        found: list[str] = self.page.evaluate("() => window.violations ?? []")
        return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; a loud skip where there is none."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(chromium())
        except FileNotFoundError:
            message = "no Chromium: apt-get install chromium, or set CHROMIUM"
            pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
        yield running


@pytest.fixture
def make_phone(browser: Browser) -> Iterator[Callable[..., Phone]]:
    """Make phones at an address; at the end they must have nothing to complain of."""
    phones: list[Phone] = []

    def make(address: str, **options: Any) -> Phone:
        chosen: dict[str, Any] = {
            "viewport": {"width": 390, "height": 844},
            "locale": "en-GB",
            "has_touch": True,
        }
        context = browser.new_context(**chosen | options)
        context.set_default_timeout(10_000)
        context.add_init_script(VIOLATIONS)
        phone = Phone(address, context, context.new_page())
        context.on("request", lambda request: _count(phone, request))
        context.on("weberror", lambda error: phone.complaints.append(str(error.error)))
        context.on("console", lambda message: _note(phone, message))
        phones.append(phone)
        return phone

    yield make
    for phone in phones:
        complaints, foreign, violations = phone.complaints, phone.foreign(), phone.violations()
        phone.context.close()
        assert (complaints, foreign, violations) == ([], [], [])


def _count(phone: Phone, request: Request) -> None:
    phone.requests.append(request)


def _note(phone: Phone, message: ConsoleMessage) -> None:
    # A refusal is an answer like another; that the browser notes it is not the page's doing.
    refusal = message.text.startswith("Failed to load resource: the server responded with")
    if message.type in {"error", "warning"} and not refusal:
        phone.complaints.append(message.text)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Note something measured, for the end of the test run's output."""
    return lambda line: request.node.user_properties.append((FIGURE, line))
