"""What a browser is sent over HTTP: each page in each language, and nothing else."""

import gzip
import json
import re
from html.parser import HTMLParser
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from api.web.assets import DIST
from api.web.languages import SHIPPED
from api.web.shells import THEMES
from api.web.site import FOLDER, PATHS
from tests.e2e.conftest import SAFE_HEADERS, Server, problem_of

# Which database lies behind them makes no difference.
pytestmark = pytest.mark.parametrize("shared_database", ["sqlite"], indirect=True, scope="session")

LANGUAGES = sorted(file.stem for file in SHIPPED.glob("*.json"))
POLICY = {
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types parasol",
}
ALL_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}
FOR_EVER = "public, max-age=31536000, immutable"
LOADING = {"href", "src", "srcset", "action", "formaction", "data", "poster", "ping", "manifest"}
"""Attributes by which a document loads something, or leads somewhere."""

MARK = "kanarienvogel587"


def held_to_its_headers(answer: Any, vary: str, cache: str) -> None:
    """Whatever a browser is sent carries every header, none twice, and no other."""
    headers = dict(answer.headers)
    assert len(answer.headers.multi_items()) == len(headers)
    assert ALL_HEADERS.items() <= headers.items()
    assert set(headers.pop("content-security-policy").split("; ")) == POLICY
    permissions = headers.pop("permissions-policy").split(", ")
    assert {"camera=()", "geolocation=()", "microphone=()"} <= set(permissions)
    assert all(one.endswith("=()") for one in permissions)
    assert (headers.pop("vary"), headers.pop("cache-control")) == (vary, cache)
    rest = {"date", "content-length", "content-type", "content-encoding"}
    assert headers.keys() - ALL_HEADERS.keys() <= rest


def document(server: Server, path: str, **headers: str) -> Any:
    answer = server.ask("GET", path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def files_of(server: Server) -> set[str]:
    """The addresses of all files that any document names, or that were built."""
    found = {FOLDER + file.name for file in DIST.glob("*-*.js")}
    for path, lang, theme in product(PATHS, LANGUAGES, THEMES):
        text = document(server, f"{path}?lang={lang}&theme={theme}").text
        found |= set(re.findall(rf'{FOLDER}[^"]+', text))
    return found


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_page_is_there_in_every_language_and_theme(
    server: Server, path: str, lang: str, theme: str
) -> None:
    answer = document(server, f"{path}?lang={lang}&theme={theme}", **{"Accept-Language": "en"})
    held_to_its_headers(answer, "Accept-Language, Accept-Encoding", "no-store")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    direction = "rtl" if lang == "ar" else "ltr"
    assert f'<html lang="{lang}" dir="{direction}" class="{theme}"' in answer.text


def test_every_file_is_kept_for_ever_and_compressed_already(server: Server) -> None:
    files = files_of(server)
    assert {name.rpartition(".")[2] for name in files} == {"js", "css", "json", "svg", "txt"}
    for name in files:
        for coding in ("br", "gzip", "identity"):
            answer = server.ask("GET", name, headers={"Accept-Encoding": coding})
            assert answer.status_code == 200, name
            held_to_its_headers(answer, "Accept-Encoding", FOR_EVER)
            if coding != "br":  # not all is worth it
                assert answer.headers.get("content-encoding", "identity") == coding
    for name in (one for one in files if one.endswith((".js", ".css"))):
        answer = server.ask("GET", name, headers={"Accept-Encoding": "gzip, br"})
        assert answer.headers["content-encoding"] == "br"


@pytest.mark.parametrize("path", PATHS)
def test_a_head_is_told_what_a_get_would_be(server: Server, path: str) -> None:
    headers = {"Accept-Encoding": "gzip"}
    got, asked = (server.ask(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert asked.content == b""
    different = {"date"}
    assert {k: v for k, v in got.headers.items() if k not in different} == {
        k: v for k, v in asked.headers.items() if k not in different
    }


def test_a_page_is_compressed_for_who_can_read_it(server: Server) -> None:
    bodies = {}
    for coding in ("gzip", "identity"):
        with server.http.stream("GET", "/", headers={"Accept-Encoding": coding}) as answer:
            assert answer.headers.get("content-encoding", "identity") == coding
            bodies[coding] = b"".join(answer.iter_raw())
    assert gzip.decompress(bodies["gzip"]) == bodies["identity"]


def test_the_browser_s_language_is_spoken_unless_another_was_chosen(server: Server) -> None:
    wanted = {"Accept-Language": "de, fr-CA;q=0.8, en;q=0.5"}
    assert '<html lang="fr"' in document(server, "/", **wanted).text
    assert '<html lang="ar"' in document(server, "/?lang=ar", **wanted).text
    assert '<html lang="en"' in document(server, "/").text


class Loaded(HTMLParser):
    """Every address by which a document loads something, or leads somewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: set[str] = set()
        self.inline: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses |= {value or "" for name, value in attrs if name in LOADING}
        self.inline |= {name for name, _ in attrs if name == "style" or name.startswith("on")}
        self.inline |= {tag} & {"style", "iframe", "object", "embed", "form", "base"}


def test_nothing_is_loaded_from_elsewhere(server: Server) -> None:
    for path, lang in product(PATHS, LANGUAGES):
        loaded = Loaded(document(server, f"{path}?lang={lang}").text)
        assert all(
            address.startswith(("/", "?", "#")) and not address.startswith("//")
            for address in loaded.addresses - {"about:blank"}
        )
        assert not loaded.inline
    for name in files_of(server):
        text = server.ask("GET", name).text
        if name.endswith(".css"):
            assert not re.search(r"@import|url\(\s*[\"']?(?!data:|/static/)", text)
        if name.endswith(".js"):
            assert not re.search(
                r"(?:import|from|fetch|Worker|sourceMappingURL=)\W*[\"']?https?:", text
            )
            assert "sourceMappingURL" not in text
        if name.endswith(".svg"):
            assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "app.js",
        "%2e%2e",
        "..%2fmanifest.json",
        "manifest.json",
        "%2e%2e%2fmanifest.json",
        "..%2f..%2fsettings.py",
        "%00",
        "%ff",
        "licences.txt",
        "a" * 5_000,
        quote("icon\n.svg"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_other_file_can_be_had(server: Server, method: str, name: str) -> None:
    answer = server.ask(method, f"{FOLDER}{name}")
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (404, b"")
    else:
        problem_of(answer, 404, "not-found")


def test_what_is_built_but_named_nowhere_is_no_file(server: Server) -> None:
    for file in DIST.iterdir():
        status = 200 if re.fullmatch(r"[a-z]+-[A-Z0-9]{8}\.(js|css)", file.name) else 404
        assert server.ask("GET", f"{FOLDER}{file.name}").status_code == status, file.name


@pytest.mark.parametrize(
    "query",
    [
        f"lang={MARK}",
        f"theme={MARK}",
        f"lang={MARK}&lang={MARK}&theme=%3Cscript%3E",
        f"{MARK}={MARK}",
        f"lang=../{MARK}",
        "lang=%ff%fe%00",
        "lang=EN&theme=DARK",
        "lang[]=fr",
        f"q={MARK * 1_000}",
        "&".join(f"lang{n}=x" for n in range(1_000)),
        "lang",
        "=&=&=",
    ],
)
def test_what_no_page_knows_is_ignored_and_never_repeated(server: Server, query: str) -> None:
    plain = document(server, "/about").content
    assert document(server, f"/about?{query}").content == plain


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept-Language": f"{MARK}, {MARK};q=0.5"},
        {"Accept-Language": "x," * 7_000},
        {"Accept-Language": "en;q=" + "9" * 5_000},
        {"Accept-Language": "\xff\xfe, *;q=0"},
        {"Cookie": f"session={MARK}", "Referer": f"https://{MARK}.example/"},
        {"Host": f"{MARK}.example", "X-Forwarded-Host": f"{MARK}.example"},
        {
            "Authorization": f"Bearer {MARK}",
            "User-Agent": MARK,
            "Origin": f"https://{MARK}.example",
        },
        {"Accept": "application/json"},
        {"If-None-Match": "*", "Range": "bytes=0-10"},
    ],
)
def test_a_document_holds_nothing_of_the_request(server: Server, headers: dict[str, str]) -> None:
    plain = document(server, "/")
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = server.ask("GET", "/", headers=raw)
    assert answer.status_code == 200
    assert answer.content == plain.content
    assert MARK not in str(answer.headers)
    held_to_its_headers(answer, "Accept-Language, Accept-Encoding", "no-store")


def test_a_page_is_only_read(server: Server) -> None:
    for path in (*PATHS, f"{FOLDER}x"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = server.ask(method, path)
            problem_of(answer, 405, "method-not-allowed")
    assert server.ask("GET", "/about/").status_code == 404


def test_the_pages_are_no_part_of_the_described_service(server: Server) -> None:
    described = server.ask("GET", "/openapi.json").json()
    assert not {*PATHS, FOLDER + "{name}"} & described["paths"].keys()


def test_the_service_s_own_answers_can_be_no_page(server: Server) -> None:
    for path in ("/v1/network", "/openapi.json", "/v1/identity", "/nowhere"):
        assert SAFE_HEADERS.items() <= dict(server.ask("GET", path).headers).items()


def test_the_document_names_the_instance(server: Server) -> None:
    text = document(server, "/about").text
    assert server.world.identity.origin in text
    assert server.world.identity.network in text


def test_the_strings_are_those_of_the_language(server: Server) -> None:
    for lang in LANGUAGES:
        text = document(server, f"/desk?lang={lang}").text
        config = json.loads(
            re.findall(r'<script type="application/json" id="config">(.*?)</script>', text)[0]
        )
        (entry,) = (one for one in config["languages"] if one["code"] == lang)
        strings = server.ask("GET", entry["url"]).json()
        assert strings["meta"]["name"] == entry["name"]
        assert config["lang"] == lang
