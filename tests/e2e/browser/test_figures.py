"""Speed and weight of the check page, measured in Chromium; printed at the end of a test run."""

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from tests.e2e.browser.acts import MESSAGE, sign_in
from tests.e2e.browser.conftest import HERE, Phone
from tests.e2e.conftest import TWICE, Server

# What is on the phone does not depend on the database behind the server.
pytestmark = [
    pytest.mark.alone,
    pytest.mark.usefixtures("cast"),
    pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True),
]

SLOWED = 6
ROUNDS = 5
MOST_ROUNDS = 25
"""Where the machine has other work, too: then the best of more rounds says what a page takes."""

VECTORS = HERE / "tests" / "vectors"
FILES = {
    "lookup": "lookup-v1.json",
    "documents": "documents-v1.json",
    "identifiers": "identifiers.json",
    "rfc9497": "rfc9497-ristretto255-sha512.json",
}
FULL_COST = """async () => {
  const x = { kind: "phone", canonical: "+447700900113" };
  const begun = performance.now();
  await bundle.stretch(x, "demo", { m_kib: 65536, t: 3 });
  return performance.now() - begun;
}"""
TIMED_CHECK = """async (text) => {
  const main = document.getElementById("main");
  const seen = (selector) => new Promise((resolve) => {
    const look = () => main.querySelector(selector) && (watch.disconnect(), resolve());
    const watch = new MutationObserver(look);
    watch.observe(main, { childList: true, subtree: true });
    look();
  });
  const freezes = [];
  const note = (list) => {
    for (const one of list) if (one.startTime > begun) freezes.push(Math.round(one.duration));
  };
  const watcher = new PerformanceObserver((list) => note(list.getEntries()));
  watcher.observe({ type: "longtask" });
  const another = main.querySelector(".answer ~ * button.main, .actions > button.main");
  const begun = performance.now();
  if (main.querySelector(".verdict")) another.click();
  await seen("textarea");
  const field = main.querySelector("textarea");
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await seen("select");
  const country = main.querySelector("select");
  country.value = "GB";
  country.dispatchEvent(new Event("change", { bubbles: true }));
  const pressed = performance.now();
  main.querySelector("form button[type=submit]").click();
  await seen(".verdict");
  const taken = performance.now() - pressed;
  await new Promise((resolve) => setTimeout(resolve, 200));
  note(watcher.takeRecords());
  watcher.disconnect();
  return [taken, freezes];
}"""


@pytest.fixture
def bare_page(browser: Browser, tmp_path: Path) -> Callable[[str], Page]:
    """Make an empty page in which a module's exports are the global `bundle`."""

    def make(module: str) -> Page:
        out = tmp_path / "bundle.js"
        subprocess.run(
            ["api/web/with-node", "api/web/node_modules/.bin/esbuild", module, "--bundle",
             "--format=iife", "--global-name=bundle", f"--outfile={out}", "--log-level=error"],
            cwd=HERE, check=True,
        )  # fmt: skip
        empty = tmp_path / "empty.html"
        empty.write_text("<!doctype html><title>empty</title>")
        page = browser.new_page()
        page.goto(empty.as_uri())
        page.add_script_tag(content=out.read_text(encoding="utf-8"))
        return page

    return make


def timed_check(page: Page) -> tuple[float, list[int]]:
    """Paste, choose, press: milliseconds from the press to the answer, and long tasks in all.

    All from within the page: what a test asks of it would freeze it, too.
    """
    taken, freezes = page.evaluate(TIMED_CHECK, MESSAGE.format(TWICE))
    return taken, freezes


def slowed_check(page: Page) -> tuple[int, float, list[int]]:
    """How long the page was frozen in all, how long it took, and the freezes."""
    taken, freezes = timed_check(page)
    return sum(freezes), taken, freezes


def best(measure: Callable[[], Any], goal: Any) -> Any:
    """The least of some measurements, and of more where it does not reach the goal."""
    least = min(measure() for _ in range(ROUNDS))
    for _ in range(MOST_ROUNDS - ROUNDS):
        if least <= goal:
            break
        least = min(least, measure())
    return least


def test_the_golden_vectors_hold_in_the_browser(bare_page: Callable[[str], Page]) -> None:
    page = bare_page("tests/web/vectors.js")
    vectors = {name: json.loads((VECTORS / file).read_text()) for name, file in FILES.items()}
    assert page.evaluate("(vectors) => bundle.runVectors(vectors)", vectors) > 200
    page.close()


def test_the_check_page_weighs_little(
    make_phone: Callable[..., Phone], server: Server, figure: Callable[[str], None]
) -> None:
    phone = make_phone(server.address)
    finished: list[Request] = []
    phone.context.on("requestfinished", lambda one: finished.append(one))  # noqa: PLW0108  (it is marked)
    sign_in(phone, server.invitation("rose"))
    # A file that is loaded ahead is asked for twice, and sent once.
    sizes: dict[str, int] = {}
    for one in finished:
        sizes[one.url] = max(sizes.get(one.url, 0), one.sizes()["responseBodySize"])
    files = {url: size for url, size in sizes.items() if "/v1/" not in url}
    assert any("worker" in url for url in files)
    total = sum(files.values())
    figure(f"the check page, first visit, {len(files)} files: {total / 1000:.1f} KB (≤ 80)")
    assert total <= 80_000


def test_the_page_is_ready_soon_on_a_slow_network(
    make_phone: Callable[..., Phone], server: Server, figure: Callable[[str], None]
) -> None:
    times = []
    for _ in range(3):
        phone = make_phone(server.address)
        session = phone.context.new_cdp_session(phone.page)
        session.send("Network.enable")
        slow = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}  # fmt: skip  # noqa: E501
        session.send("Network.emulateNetworkConditions", slow)
        phone.page.goto(server.address, wait_until="commit")
        phone.page.get_by_label("Paste the line you were given").wait_for()
        times.append(phone.page.evaluate("() => performance.now()"))
    figure(f"ready on 400 kbit/s with 400 ms delay: {min(times) / 1000:.2f} s (≤ 3.5)")
    assert min(times) <= 3_500


def test_a_check_is_fast_and_never_freezes_the_page(
    make_phone: Callable[..., Phone],
    server: Server,
    figure: Callable[[str], None],
) -> None:
    phone = make_phone(server.address)
    page = sign_in(phone, server.invitation("rose"))
    # The worker is not slowed with the page, so all of it is counted six times.
    whole = best(lambda: timed_check(page)[0] * SLOWED, 600)
    session = phone.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    frozen, slowed, freezes = best(lambda: slowed_check(page), (0, math.inf, []))
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    figure(
        f"a check without Argon2id: {whole:.0f} ms as six times the unslowed (≤ 600), "
        f"{slowed:.0f} ms with the page slowed six times; freezes over 50 ms: {freezes or 'none'}"
    )
    assert whole <= 600
    assert frozen == 0


def test_argon2id_is_bearable_on_a_slow_phone(
    bare_page: Callable[[str], Page], figure: Callable[[str], None]
) -> None:
    page = bare_page("api/web/src/client/crypto/stretching.js")
    taken: float = best(lambda: page.evaluate(FULL_COST), 3_000 / SLOWED)
    page.close()
    figure(
        f"Argon2id, 64 MiB and 3 passes: {taken:.0f} ms, times six {taken * 6 / 1000:.2f} s (≤ 3)"
    )
    assert taken * SLOWED <= 3_000
