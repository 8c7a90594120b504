"""What the pages say: a file a language, and what a collective says otherwise."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from api.web import PagesError

ENGLISH = "en"
"""What is missing in another language is said in it."""

SHIPPED = Path(__file__).with_name("languages")

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
_ADDRESS = re.compile(r"https://[^\s<>\"'\\]{1,400}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_DEPTH = 2
"""How deep an overlay reaches: it replaces a member of `meta`, a string, a page."""

Text = Annotated[str, StringConstraints(max_length=4_000)]
Words = Annotated[str, StringConstraints(max_length=4_000, pattern=r"\S")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Forms(_Closed):
    """A string in its plural forms, as CLDR names them; `other` stands in for a missing one."""

    zero: Text | None = None
    one: Text | None = None
    two: Text | None = None
    few: Text | None = None
    many: Text | None = None
    other: Text


class Meta(_Closed):
    """What a language calls itself, how it is written, and who has read its texts."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    dir: Literal["ltr", "rtl"]
    reviewed: Literal["people", "machine"]


class Section(_Closed):
    """A part of a public page."""

    heading: Words
    paragraphs: tuple[Words, ...] = ()
    list: tuple[Words, ...] = ()


class Page(_Closed):
    """A public page."""

    title: Words
    sections: tuple[Section, ...]


Strings = dict[str, Text | Forms]


class Language(_Closed):
    """A language, with what it says by itself."""

    meta: Meta
    strings: Strings = {}
    pages: dict[str, Page] = {}


def read_languages(overlays: Path) -> dict[str, Language]:
    """Return all languages by their codes, each with what its file in `overlays` says otherwise.

    A string that one lacks is English's; a page may be missing, but not in English.
    Raises PagesError for a file that is not a language file, or says what no page can.
    """
    shipped = {file.stem: file for file in SHIPPED.glob("*.json")}
    own = {file.stem: file for file in _files(overlays) if file.suffix == ".json"}
    known = _language(shipped[ENGLISH], _read(shipped[ENGLISH]))
    languages = {}
    for code in sorted(shipped.keys() | own.keys()):
        content = _read(shipped[code]) if code in shipped else {}
        if code in own:
            content = _overlaid(content, _read(own[code]), _DEPTH)
        file = own.get(code) or shipped[code]
        languages[code] = _language(file, content)
        _check(file, languages[code], known)
    english = languages[ENGLISH].strings
    return {
        code: language.model_copy(update={"strings": english | language.strings})
        for code, language in languages.items()
    }


def placeholders(text: str | Forms) -> set[str]:
    """Return the names that stand in braces in a string, in any of its forms."""
    return {name for form in _forms(text) for name in _PLACEHOLDER.findall(form)}


def fill(text: str, named: Mapping[str, str]) -> str:
    """Return a text with its placeholders replaced; one that is not `named` stays."""
    return _PLACEHOLDER.sub(lambda found: named.get(found[1], found[0]), text)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError:
        raise PagesError(f"{folder}: cannot be read") from None


def _read(file: Path) -> Any:  # noqa: ANN401  (JSON)
    if not _CODE.fullmatch(file.stem):
        raise PagesError(f"{file}: name it by a language, as in fr.json or pt-BR.json")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise PagesError(f"{file}: line {error.lineno}: not JSON ({error.msg})") from None
    except (OSError, UnicodeError, RecursionError):
        raise PagesError(f"{file}: cannot be read") from None


def _overlaid(below: Any, above: Any, depth: int) -> Any:  # noqa: ANN401  (JSON, not yet validated)
    if depth == 0 or not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {
        key: _overlaid(below.get(key), value, depth - 1) for key, value in above.items()
    }


def _language(file: Path, content: Any) -> Language:  # noqa: ANN401  (JSON, validated here)
    try:
        return Language.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        # Behind a string's key comes only which of its two shapes was tried.
        place = first["loc"][:_DEPTH] if first["loc"][:1] == ("strings",) else first["loc"]
        raise _wrong(file, place, first["msg"]) from None


def _check(file: Path, language: Language, known: Language) -> None:
    """Raise PagesError for what the shipped English does not know, or no page can show."""
    for key, text in language.strings.items():
        if key not in known.strings:
            raise _wrong(file, ("strings", key), "there is no such string")
        reason = _unfit(key, text, known.strings[key])
        if reason:
            raise _wrong(file, ("strings", key), reason)
    for page in language.pages.keys() - known.pages.keys():
        raise _wrong(file, ("pages", page), "there is no such page")


def _unfit(key: str, text: str | Forms, english: str | Forms) -> str | None:
    if isinstance(text, Forms) and isinstance(english, str):
        return "this string has no plural forms"
    if not placeholders(text) <= placeholders(english):
        return f"in braces may stand: {', '.join(sorted(placeholders(english))) or 'nothing'}"
    if key == "exit" and text != "about:blank" and not _is_address(text):
        return "must be about:blank or an https:// address"
    if key == "source":
        return None if text == "" or _is_address(text) else "must be an https:// address, or empty"
    return None if all(form.strip() for form in _forms(text)) else "must not be empty"


def _is_address(text: str | Forms) -> bool:
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


def _forms(text: str | Forms) -> list[str]:
    if isinstance(text, str):
        return [text]
    return list(text.model_dump(exclude_none=True).values())


def _wrong(file: Path, place: tuple[str | int, ...], reason: str) -> PagesError:
    where = ".".join(str(part) for part in place)
    # A key may be anything: what could steer a terminal is spelt out.
    return PagesError(f"{file}: {ascii(where)[1:-1]}: {reason}")
