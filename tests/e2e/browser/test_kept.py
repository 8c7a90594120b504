"""What the worker keeps on a device, in a real IndexedDB."""

from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route

from tests.e2e.browser.conftest import HERE

SOURCES = HERE / "api/web/src"

STEPS = """async () => {
    const { kept } = await import("/worker/kept.js");
    const names = async () => (await indexedDB.databases()).map(({ name }) => name);
    const seen = [[await kept.list(), await kept.get("a"), await names()]];
    await kept.put({ id: "a", role: "member", file: "1", wrong: 0 });
    await kept.put({ id: "b", role: "moderator", file: "2", wrong: 0 });
    await kept.put({ id: "a", role: "member", file: "1", wrong: 1 });
    seen.push([await kept.list(), await kept.get("a"), await names()]);
    await kept.remove("a");
    seen.push([await kept.list(), await kept.get("a"), await names()]);
    await kept.remove("b");
    seen.push([await kept.list(), await kept.get("b"), await names()]);
    await kept.remove("b");
    indexedDB.open = () => { throw new DOMException("", "InvalidStateError") };
    const refused = await kept.put({ id: "a" }).catch(({ code }) => code);
    return [...seen, [await kept.list(), refused, await names()]];
}"""


def test_nothing_lies_on_a_device_unless_it_is_asked_for(browser: Browser) -> None:
    """To have looked leaves no database, nor does the last record that is deleted."""

    def served(route: Route) -> None:
        file = SOURCES / urlsplit(route.request.url).path[1:]
        if file.suffix == ".js":
            route.fulfill(body=file.read_text(), content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page = browser.new_page()
    page.route("**/*", served)
    page.goto("https://notes.example/")
    seen = page.evaluate(STEPS)
    page.close()
    member = {"id": "a", "role": "member", "file": "1", "wrong": 1}
    moderator = {"id": "b", "role": "moderator", "file": "2", "wrong": 0}
    assert seen == [
        [[], None, []],
        [[member, moderator], member, ["notes"]],
        [[moderator], None, ["notes"]],
        [[], None, []],
        [[], "cannot-keep", []],
    ]
