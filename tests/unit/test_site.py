"""Promises about the pages: what a browser is served, in whose words, and what is refused."""

import gzip
import json
import re
import traceback
from collections.abc import Callable
from functools import partial
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from api.cli import main
from api.web import PagesError
from api.web.assets import read_built
from api.web.languages import (
    ENGLISH,
    SHIPPED,
    Forms,
    Language,
    fill,
    placeholders,
    read_languages,
)
from api.web.negotiation import LONGEST, choose_coding, choose_language
from api.web.shells import LINKS, THEMES, Place
from api.web.site import FOLDER, PATHS, Site

CODES = ["ar", "en", "es", "fr", "pt-BR"]
SHIPPED_CODES = sorted(file.stem for file in SHIPPED.glob("*.json"))
FORMS = {"en": {"one", "other"}, "ar": {"zero", "one", "two", "few", "many", "other"}}
"""Which plural forms a language needs, where that is not just one and other."""

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
NOWHERE = Path("/nonexistent")
NOT_BUILT = "The pages are not built: run `make web`."


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder as the build leaves it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    entries = {}
    for name in ("app", "desk", "public", "worker", "style"):
        file = f"{name}-ABCD2345.{'css' if name == 'style' else 'js'}"
        entries[name] = {"file": file, "imports": ["part-ABCD2345.js"] if name == "app" else []}
        _write(folder / file)
    _write(folder / "part-ABCD2345.js")
    _write(folder / "licences.txt")
    (folder / "manifest.json").write_text(json.dumps(entries))
    return folder


def _write(file: Path) -> None:
    for suffix in ("", ".br", ".gz"):
        file.with_name(file.name + suffix).write_text(f"{file.name}{suffix}")


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[..., Path]:
    """Write what a collective says otherwise; return its folder."""
    folder = tmp_path / "pages"
    folder.mkdir()

    def write(code: str, content: Any) -> Path:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{code}.json").write_text(text, encoding="utf-8")
        return folder

    return write


def site(dist: Path, overlays: Path = NOWHERE) -> Site:
    return Site(read_built(dist), read_languages(overlays), Place("rose.example", "north-sea"))


class Read(HTMLParser):
    """A document as a browser understands it."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.config: dict[str, Any] = {}
        self._open = ""
        self.feed(document.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._open == "script" and data.strip():
            self.config = json.loads(data)
            self._open = ""
        elif data.strip():
            self.text.append(data.strip())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(at: Site, path: str, lang: str = "en", theme: str = "dark") -> Read:
    return Read(at.document(path, lang, theme, None).plain)


# Which content coding


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("GZIP;Q=0.5", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, *", "gzip"),
        ("*", "br"),
        ("br;q=0, gzip;q=0", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0", "identity"),
        ("zstd, compress", "identity"),
        ("br;q=2", "identity"),
        ("br;q=abc, gzip", "gzip"),
        ("x" * 10_000 + ", br", "identity"),
    ],
)
def test_a_file_is_sent_in_the_coding_that_is_liked_best(header: str | None, coding: str) -> None:
    assert choose_coding(header, ["br", "gzip"]) == coding


@given(st.one_of(st.none(), st.text(), st.text("brgzip*,;q=.01 -")))
def test_no_accept_encoding_is_answered_in_a_coding_it_does_not_name(header: str | None) -> None:
    coding = choose_coding(header, ["br", "gzip"])
    assert coding == "identity" or coding in (header or "").lower() or "*" in (header or "")


# Which language


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("FR-ca", "fr"),
        ("fr-CA-x-private, ar", "fr"),
        ("de, es;q=0.5", "es"),
        ("es;q=0.5, ar;q=0.9", "ar"),
        ("pt", "pt-BR"),
        ("pt-BR", "pt-BR"),
        ("pt-br-x-a", "pt-BR"),
        ("pt-PT", "en"),
        ("*", "en"),
        ("*, en;q=0", "ar"),
        ("de, *;q=0.1", "en"),
        ("fr;q=0, fr-CA", "en"),
        ("fr;q=0", "en"),
        ("fr;q=1.5", "en"),
        ("f, ü, ;;;, =, fr;q=0.001", "fr"),
        ("en-US,en;q=0.9,fr;q=0.8", "en"),
        ("de," * 1_000 + "fr", "en"),
        ("../../etc/passwd", "en"),
    ],
)
def test_a_page_speaks_the_language_that_is_liked_best(header: str | None, code: str) -> None:
    assert choose_language(header, CODES, "en") == code


@given(st.one_of(st.text(), st.text("arenfspt-*,;q=.01 ")))
def test_whatever_is_asked_for_is_answered_in_a_language_there_is(header: str) -> None:
    assert choose_language(header, CODES, "en") in CODES
    assert choose_language(header[:LONGEST] + "," + "x" * 100, CODES, "en") in CODES


@given(
    st.lists(st.tuples(st.sampled_from(CODES), st.integers(1, 1000)), unique_by=lambda one: one[0])
)
def test_the_greater_weight_wins_and_then_the_earlier_one(wanted: list[tuple[str, int]]) -> None:
    header = ", ".join(f"{code};q={weight / 1000:.3f}" for code, weight in wanted)
    best = max(wanted, key=lambda one: one[1])[0] if wanted else "en"
    assert choose_language(header, CODES, "en") == best


# The language files


@pytest.mark.parametrize("code", SHIPPED_CODES)
def test_every_language_says_all_that_english_says(code: str) -> None:
    english, language = _shipped(ENGLISH), _shipped(code)
    assert language.strings.keys() == english.strings.keys()
    assert language.pages.keys() == english.pages.keys() == {"about", "notice", "safety"}
    for key, text in language.strings.items():
        assert isinstance(text, Forms) == isinstance(english.strings[key], Forms), key
        if isinstance(text, Forms):
            missing = FORMS.get(code, {"one", "other"}) - text.model_fields_set
            assert not missing, f"{key}: {missing}"


@pytest.mark.parametrize("code", SHIPPED_CODES)
def test_every_language_has_the_placeholders_of_english(code: str) -> None:
    english, language = _shipped(ENGLISH), _shipped(code)
    for key, text in language.strings.items():
        assert placeholders(text) == placeholders(english.strings[key]), key
    for name, whole in language.pages.items():
        assert placeholders(whole.model_dump_json()) <= {"contact", "origin", "network"}, name


@pytest.mark.parametrize("code", SHIPPED_CODES)
def test_every_language_has_each_page_whole(code: str) -> None:
    english, language = _shipped(ENGLISH), _shipped(code)
    for name, text in language.pages.items():
        shape = [(len(one.paragraphs), len(one.list)) for one in english.pages[name].sections]
        assert [(len(one.paragraphs), len(one.list)) for one in text.sections] == shape, name


def _shipped(code: str) -> Language:
    return Language.model_validate_json((SHIPPED / f"{code}.json").read_bytes())


def test_a_placeholder_that_nobody_fills_stays_as_it_is() -> None:
    assert fill("{a} {b} {", {"a": "{b}"}) == "{b} {b} {"


# What a collective says otherwise


def test_a_collective_replaces_a_string_and_leaves_the_others(overlay: Any) -> None:
    folder = overlay("en", {"strings": {"contact": "help@example.org"}})
    said, before = read_languages(folder)["en"], read_languages(NOWHERE)["en"]
    assert said.strings == before.strings | {"contact": "help@example.org"}
    assert (said.meta, said.pages) == (before.meta, before.pages)


def test_a_collective_replaces_a_page_and_leaves_the_others(overlay: Any) -> None:
    own = {"title": "Ours", "sections": [{"heading": "One", "paragraphs": ["Two"]}]}
    said = read_languages(overlay("fr", {"pages": {"safety": own}}))["fr"]
    before = read_languages(NOWHERE)["fr"]
    assert said.pages["safety"].title == "Ours"
    assert said.pages["about"] == before.pages["about"]
    assert said.strings == before.strings


def test_a_collective_that_has_read_a_language_says_so(overlay: Any) -> None:
    said = read_languages(overlay("es", {"meta": {"reviewed": "people"}}))["es"]
    assert (said.meta.reviewed, said.meta.dir) == ("people", "ltr")


def test_a_collective_adds_a_language_and_english_fills_its_gaps(dist: Path, overlay: Any) -> None:
    meta = {"name": "עברית", "dir": "rtl", "reviewed": "people"}
    folder = overlay("he", {"meta": meta, "strings": {"shell.leave": "צאי"}})
    overlay("en", {"strings": {"contact": "help@example.org"}})
    said = read_languages(folder)["he"].strings
    english = read_languages(folder)["en"].strings
    assert said == english | {"shell.leave": "צאי"}
    assert said["contact"] == "help@example.org"

    about = page(site(dist, folder), "/about", "he")
    assert about.all("html")[0]["dir"] == "rtl"
    assert about.all("article") == [{"lang": "en", "dir": "ltr"}]
    assert "צאי" in about.text


@pytest.mark.parametrize(
    ("code", "content", "place"),
    [
        ("fr", {"strings": {"exit": "http://secret.example/"}}, "strings.exit"),
        ("fr", {"strings": {"exit": "javascript:secret()"}}, "strings.exit"),
        ("fr", {"strings": {"exit": "https://secret.example/ x"}}, "strings.exit"),
        ("fr", {"strings": {"exit": "https://secret.example\n"}}, "strings.exit"),
        ("fr", {"strings": {"exit": "about:secret"}}, "strings.exit"),
        ("fr", {"strings": {"source": "ftp://secret.example"}}, "strings.source"),
        ("fr", {"strings": {"shell.leave": " "}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": 7}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": None}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": ["secret"]}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": {"other": "secret"}}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": {"secret": "secret"}}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": "{secret}"}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leave": "secret" * 1_000}}, "strings.shell.leave"),
        ("fr", {"strings": {"shell.leaf": "secret"}}, "strings.shell.leaf"),
        ("fr", {"strings": {"\x1b[2J": "secret"}}, "strings.\\x1b[2J"),
        ("fr", {"strings": ["secret"]}, "strings"),
        ("fr", {"words": {"secret": "secret"}}, "words"),
        ("fr", ["secret"], ""),
        ("fr", '{"strings": {"contact": "secret"', "line 1"),
        ("fr", '{"meta": {"name": "sec\nret"}}', "line 1"),
        ("fr", "[" * 100_000, ""),
        ("fr", {"meta": {"dir": "secret"}}, "meta.dir"),
        ("fr", {"meta": {"name": ""}}, "meta.name"),
        ("fr", {"meta": {"reviewed": "secret"}}, "meta.reviewed"),
        ("fr", {"pages": {"about": {"title": "secret"}}}, "pages.about.sections"),
        (
            "fr",
            {"pages": {"about": {"title": "secret", "sections": [1]}}},
            "pages.about.sections.0",
        ),
        ("fr", {"pages": {"about": {"title": " ", "sections": []}}}, "pages.about.title"),
        ("fr", '{"strings": {"contact": "secret\\ud800"}}', "strings.contact"),
        ("fr", {"pages": {"other": {"title": "secret", "sections": []}}}, "pages.other"),
        ("de", {"strings": {"contact": "secret"}}, "meta"),
        ("de", {"meta": {"name": "Deutsch", "dir": "ltr"}}, "meta.reviewed"),
        ("Fr", {}, ""),
        ("fr_CA", {}, ""),
        ("french", {}, ""),
    ],
)
def test_a_broken_file_is_refused_by_name_and_key_alone(
    overlay: Any, code: str, content: Any, place: str
) -> None:
    folder = overlay(code, content)
    with pytest.raises(PagesError) as caught:
        read_languages(folder)
    text = str(caught.value)
    assert text.startswith(f"{folder / code}.json: {place}")
    assert "secret" not in text.replace("secret.example", "")
    assert text.isprintable()
    assert "secret" not in "".join(traceback.format_exception_only(caught.value))


def test_an_operator_reads_what_is_wrong_with_a_file(
    overlay: Any, dist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.app.read_built", partial(read_built, dist))
    folder = overlay("fr", {"strings": {"exit": "javascript:secret()"}})
    result = CliRunner().invoke(main, ["serve", "--data", str(folder.parent)])
    reason = "must be about:blank or an https:// address"
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"{folder}/fr.json: strings.exit: {reason}\n"


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fr.json").write_bytes(b'{"strings": {"contact": "\xff"}}')
    with pytest.raises(PagesError, match=r"fr\.json: cannot be read"):
        read_languages(tmp_path)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pages").write_text("a file")
    with pytest.raises(PagesError, match=r"pages: cannot be read"):
        read_languages(tmp_path / "pages")


def test_no_folder_and_other_files_in_it_change_nothing(overlay: Any, tmp_path: Path) -> None:
    (overlay("en", {}) / "README.txt").write_text("notes")
    assert read_languages(tmp_path / "pages") == read_languages(NOWHERE)


@pytest.mark.parametrize("address", ["https://example.org/", "https://example.org:8443/a?b=c#d"])
def test_leaving_may_lead_to_any_https_address(dist: Path, overlay: Any, address: str) -> None:
    at = site(dist, overlay("en", {"strings": {"exit": address}}))
    read = page(at, "/")
    assert read.config["exit"] == address
    assert [one["href"] for one in read.all("a") if one.get("id") == "leave"] == [address]


# The documents


@pytest.mark.parametrize("path", PATHS)
def test_what_a_collective_writes_is_text_and_never_markup(
    dist: Path, overlay: Any, path: str
) -> None:
    section = {"heading": HOSTILE, "paragraphs": [HOSTILE], "list": [HOSTILE]}
    text = {"title": HOSTILE, "sections": [section]}
    english = read_languages(NOWHERE)["en"].strings
    strings = {
        key: HOSTILE
        for key, text in english.items()
        if isinstance(text, str) and key not in {"exit", "source"}
    }
    pages = dict.fromkeys(("about", "notice", "safety"), text)
    folder = overlay("en", {"strings": strings, "pages": pages})
    overlay("fr", {"meta": {"name": HOSTILE[:40]}})
    hostile = page(site(dist, folder), path)
    assert len(hostile.all("script")) == 2
    assert not hostile.all("img")
    assert not any("onerror" in attributes for _, attributes in hostile.tags)
    assert HOSTILE in hostile.text
    names = {one["code"]: one["name"] for one in hostile.config["languages"]}
    assert names["fr"] == HOSTILE[:40]


@pytest.mark.parametrize(
    ("path", "code", "theme"), list(product(sorted(PATHS), SHIPPED_CODES, THEMES))
)
def test_a_document_has_what_the_scripts_and_screen_readers_need(
    dist: Path, path: str, code: str, theme: str
) -> None:
    read = page(site(dist), path, code, theme)
    (html,) = read.all("html")
    assert (html["lang"], html["class"]) == (code, theme)
    assert html["dir"] == ("rtl" if code == "ar" else "ltr")
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert sorted(map(str, ids)) == ["config", "language", "leave", "live", "main", "theme"]
    assert [len(read.all(tag)) for tag in ("h1", "main", "header", "footer", "title")] == [1] * 5
    assert all(one.get("aria-label") for one in [*read.all("nav"), *read.all("select")])
    assert read.tags[[tag for tag, _ in read.tags].index("body") + 1][1]["href"] == "#main"
    assert read.config["lang"] == code
    assert read.config["theme"] == theme
    assert [one["code"] for one in read.config["languages"]] == SHIPPED_CODES
    assert [one for one in read.all("option") if "selected" in one] == [
        {"value": code, "lang": code, "selected": None}
    ]


@pytest.mark.parametrize("path", PATHS)
def test_every_text_with_a_key_is_the_text_of_that_key(dist: Path, path: str) -> None:
    at = site(dist)
    read = page(at, path)
    strings = _served_strings(at, read, "en")
    marked = {one["data-t"] for _, one in read.tags if "data-t" in one}
    labels = [one for _, one in read.tags if "data-t-label" in one]
    assert marked
    assert all(strings[str(key)] in read.text for key in marked)
    assert all(one["aria-label"] == strings[str(one["data-t-label"])] for one in labels)


def test_a_page_without_scripts_says_why_and_whom_to_ask(dist: Path, overlay: Any) -> None:
    folder = overlay("en", {"strings": {"contact": "help@example.org"}})
    for path in ("/", "/desk"):
        plain = site(dist, folder).document(path, "en", None, None).plain.decode()
        noscript = re.findall(r"<noscript>(.*?)</noscript>", plain, re.DOTALL)[0]
        late = re.findall(r'<p class="late">(.*?)</p>', plain, re.DOTALL)[0]
        for text in (noscript, late):
            assert "WebAssembly" in text
            assert "help@example.org" in text
        assert 'class="starting"' in plain


def test_without_scripts_language_and_theme_are_links(dist: Path) -> None:
    plain = site(dist).document("/about", "fr", "light", None).plain.decode()
    noscript = re.findall(r"<noscript>(.*?)</noscript>", plain, re.DOTALL)[-1]
    links = [one["href"] for one in Read(noscript.encode()).all("a")]
    assert links == [
        *(f"?lang={code}&theme=light" for code in SHIPPED_CODES),
        "?lang=fr&theme=dark",
    ]
    others = [one["href"] for one in Read(plain.encode()).all("a")]
    assert all(f"{path}?lang=fr&theme=light" in others for path in LINKS.values())


def test_a_machine_s_words_are_marked_until_people_have_read_them(dist: Path, overlay: Any) -> None:
    folder = overlay("fr", {"meta": {"reviewed": "people"}})
    overlay("es", {"meta": {"reviewed": "machine"}})
    languages = read_languages(folder)
    for path in PATHS:
        assert (
            languages["fr"].strings["shell.machine"]
            not in page(site(dist, folder), path, "fr").text
        )
        assert languages["es"].strings["shell.machine"] in page(site(dist, folder), path, "es").text


def test_about_names_the_instance_and_where_its_source_is(dist: Path, overlay: Any) -> None:
    before = page(site(dist), "/about")
    assert any("rose.example" in text for text in before.text)
    assert any("north-sea" in text for text in before.text)
    folder = overlay("en", {"strings": {"source": "https://git.example/parasol"}})
    after = page(site(dist, folder), "/about")
    hrefs = [{one["href"] for one in read.all("a")} for read in (before, after)]
    assert hrefs[1] - hrefs[0] == {"https://git.example/parasol"}


def test_an_unknown_language_or_theme_counts_as_none(dist: Path) -> None:
    at = site(dist)
    assert at.document("/", "xx", HOSTILE, "fr") is at.document("/", None, None, "fr")
    assert at.document("/", "../en", "Light", None) is at.document("/", "en", "dark", "fr")
    assert at.document("/join", "en", "light", None) is at.document("/", "en", "light", None)


# The files


def test_the_app_asks_for_all_it_needs_at_once(dist: Path) -> None:
    read = page(site(dist), "/", "fr")
    links = {(one["rel"], one["href"]) for one in read.all("link")}
    (strings,) = (one["url"] for one in read.config["languages"] if one["code"] == "fr")
    assert {
        ("stylesheet", f"{FOLDER}style-ABCD2345.css"),
        ("modulepreload", f"{FOLDER}part-ABCD2345.js"),
        ("modulepreload", f"{FOLDER}worker-ABCD2345.js"),
        ("preload", strings),
    } < links
    assert read.config["worker"] == f"{FOLDER}worker-ABCD2345.js"
    assert [one["src"] for one in read.all("script") if "src" in one] == [
        f"{FOLDER}app-ABCD2345.js"
    ]


@pytest.mark.parametrize("path", PATHS)
def test_every_address_in_a_document_is_there(dist: Path, path: str) -> None:
    at = site(dist)
    read = page(at, path)
    named = [one.get("href") or one.get("src") for _, one in read.tags]
    named += [read.config["worker"], *(one["url"] for one in read.config["languages"])]
    files = [address for address in named if address and address.startswith(FOLDER)]
    assert len(files) > 6
    assert all(at.file(file.removeprefix(FOLDER)) for file in files)
    rest = {address for address in named if address} - set(files)
    assert {one.partition("?")[0] for one in rest} <= {*PATHS, "#main", "about:blank", ""}


def test_a_worker_is_not_sent_the_words_of_the_desk(dist: Path) -> None:
    at = site(dist)
    sent = {path: _served_strings(at, page(at, path), "en") for path in PATHS}
    whole = json.loads(json.dumps(read_languages(NOWHERE)["en"].model_dump(exclude_none=True)))
    assert sent["/desk"] == whole["strings"]
    assert sent["/"] == {
        key: text for key, text in whole["strings"].items() if not key.startswith("desk.")
    }
    assert sent["/about"] == sent["/"]


def _served_strings(at: Site, read: Read, code: str) -> dict[str, Any]:
    (url,) = (one["url"] for one in read.config["languages"] if one["code"] == code)
    content = at.file(url.removeprefix(FOLDER))
    assert content is not None
    served = json.loads(content.plain)
    assert served.keys() == {"meta", "strings"}
    strings: dict[str, Any] = served["strings"]
    return strings


def test_what_says_something_else_has_another_name(dist: Path, overlay: Any) -> None:
    folder = overlay("en", {"strings": {"contact": "help@example.org"}})
    urls = [
        page(at, "/").config["languages"][SHIPPED_CODES.index("en")]["url"]
        for at in (site(dist), site(dist), site(dist, folder))
    ]
    assert urls[0] == urls[1] != urls[2]


def test_all_is_compressed_already(dist: Path) -> None:
    at = site(dist)
    for coding in ("br", "gzip"):
        built = at.file("app-ABCD2345.js")
        assert built is not None
        assert built.choose(coding) == (coding, f"app-ABCD2345.js.{coding[:2]}".encode())
    document = at.document("/", None, None, None)
    coding, coded = document.choose("gzip, br")
    assert (coding, gzip.decompress(coded)) == ("gzip", document.plain)
    assert document.choose(None) == ("identity", document.plain)
    assert len(coded) * 2 < len(document.plain)


@pytest.mark.parametrize(
    "name", ["", "x", "..", "manifest.json", "app-ABCD2345.js.gz", "licences.txt"]
)
def test_no_other_file_is_served(dist: Path, name: str) -> None:
    (dist / "notes.md").write_text("x")
    assert site(dist).file(name) is None


@pytest.mark.parametrize(
    "missing",
    [
        "",
        "manifest.json",
        "app-ABCD2345.js",
        "part-ABCD2345.js.br",
        "style-ABCD2345.css.gz",
        "licences.txt",
    ],
)
def test_pages_that_are_not_built_are_refused_with_the_mend(dist: Path, missing: str) -> None:
    if missing:
        (dist / missing).unlink()
    folder = dist if missing else dist / "nowhere"
    with pytest.raises(PagesError, match=NOT_BUILT):
        read_built(folder)


def test_an_operator_reads_how_to_build_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("api.app", "api.cli.demo"):
        monkeypatch.setattr(f"{module}.read_built", partial(read_built, tmp_path))
    for command in (
        ["serve", "--data", str(tmp_path)],
        ["demo", "--port", "0", "--data", str(tmp_path / "demo")],
    ):
        result = CliRunner().invoke(main, command)
        assert (result.exit_code, result.stderr) == (2, f"{NOT_BUILT}\n")
    assert not list(tmp_path.iterdir())


def test_a_torn_manifest_is_refused(dist: Path) -> None:
    (dist / "manifest.json").write_text('{"app": {')
    with pytest.raises(PagesError, match=NOT_BUILT):
        read_built(dist)
