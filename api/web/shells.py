"""The HTML of every page: all that is there before a script runs, or without one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.web.assets import Manifest
from api.web.languages import ENGLISH, Language, fill

START, DESK = "start", "desk"
"""The pages that scripts fill; all others are text."""

LINKS: Mapping[str, str] = MappingProxyType(
    {
        START: "/",
        "safety": "/safety",
        "about": "/about",
        "notice": "/notice",
        DESK: "/desk",
    }
)
"""The pages, as the footer lists them."""

THEMES = DARK, LIGHT = "dark", "light"

_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True, slots=True)
class Place:
    """What an instance is called."""

    origin: str
    network: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where files are: the folder of the bundles, what is in none, strings by page and language."""

    folder: str
    icon: str
    licences: str
    strings: Mapping[tuple[str, str], str]


class Shells:
    """Renders the pages of one instance."""

    def __init__(
        self,
        manifest: Manifest,
        addresses: Addresses,
        languages: Mapping[str, Language],
        place: Place,
    ) -> None:
        """Take what the pages have in common."""
        self._manifest = manifest
        self._addresses = addresses
        self._languages = languages
        self._place = place
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, page: str, code: str, theme: str) -> bytes:
        """Return the document of a page, in a language and a theme."""
        context = {
            "page": page,
            "code": code,
            "meta": self._languages[code].meta,
            "theme": theme,
            "other_theme": LIGHT if theme == DARK else DARK,
            "links": LINKS,
            "addresses": self._addresses,
            "manifest": self._manifest,
            "config": self._config(page, code, theme),
            **self._words(code),
        }
        if page in {START, DESK}:
            template = "app.html"
            context["script"] = self._manifest.desk if page == DESK else self._manifest.app
        else:
            template = "text.html"
            # A page that its language does not have is English's, and marked so.
            spoken = code if page in self._languages[code].pages else ENGLISH
            context |= {
                "script": self._manifest.public,
                "spoken": spoken,
                "spoken_dir": self._languages[spoken].meta.dir,
                "text": self._languages[spoken].pages[page],
            }
        return self._templates.get_template(template).render(context).encode()

    def _words(self, code: str) -> dict[str, Any]:
        """Return how a template speaks: `t` says the string of a key, `say` a text."""
        strings = self._languages[code].strings
        named = {
            "contact": str(strings["contact"]),
            "origin": self._place.origin,
            "network": self._place.network,
        }

        def say(text: str) -> str:
            return fill(text, named)

        return {"say": say, "t": lambda key: say(str(strings[key]))}

    def _config(self, page: str, code: str, theme: str) -> dict[str, Any]:
        """Return what the document tells its script."""
        return {
            "lang": code,
            "languages": [
                {
                    "code": other,
                    "name": language.meta.name,
                    "dir": language.meta.dir,
                    "url": self._addresses.strings[page, other],
                }
                for other, language in self._languages.items()
            ],
            "worker": self._addresses.folder + self._manifest.worker.file,
            "exit": self._languages[code].strings["exit"],
            "theme": theme,
        }
