"""Every page and file that an instance serves, made once, at start."""

import json
from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

from api.web.assets import ICON, LICENCES, Built, Content, hashed, ready
from api.web.languages import ENGLISH, Language
from api.web.negotiation import choose_language
from api.web.shells import DARK, DESK, LINKS, START, THEMES, Addresses, Place, Shells

FOLDER = "/static/"
PATHS: Mapping[str, str] = MappingProxyType(
    {"/join": START} | {path: page for page, path in LINKS.items()}
)
"""Which page is at which path. An invitation leads to `/join`, with its code in the fragment."""

_DESK_STRINGS = "desk."
"""With this prefix: workers have no use for them."""


class Site:
    """The documents and files of one instance, as ready bytes."""

    def __init__(self, built: Built, languages: Mapping[str, Language], place: Place) -> None:
        """Render every page in every language and theme."""
        self._languages = list(languages)
        self._files = dict(built.files)
        addresses = Addresses(
            folder=FOLDER,
            icon=self._add(ICON.name, ready(".svg", ICON.read_bytes())),
            licences=self._add(LICENCES, self._files.pop(LICENCES)),
            strings={
                (page, code): self._add(f"strings-{code}.json", _strings(page, language))
                for page, (code, language) in product(LINKS, languages.items())
            },
        )
        shells = Shells(built.manifest, addresses, languages, place)
        self._documents = {
            key: ready(".html", shells.render(*key)) for key in product(LINKS, languages, THEMES)
        }

    def document(
        self, path: str, lang: str | None, theme: str | None, accept_language: str | None
    ) -> Content:
        """Return what is at one of `PATHS`; an unknown language or theme counts as none."""
        if lang not in self._languages:
            lang = choose_language(accept_language, self._languages, ENGLISH)
        return self._documents[PATHS[path], lang, theme if theme in THEMES else DARK]

    def file(self, name: str) -> Content | None:
        """Return a file that never changes, by its name in `FOLDER`; None where there is none."""
        return self._files.get(name)

    def _add(self, name: str, content: Content) -> str:
        """Serve a file under its name and hash; return its address."""
        name = hashed(name, content.plain)
        self._files[name] = content
        return FOLDER + name


def _strings(page: str, language: Language) -> Content:
    """Return the strings that a page's script may need."""
    strings = {
        key: text if isinstance(text, str) else text.model_dump(exclude_none=True)
        for key, text in language.strings.items()
        if page == DESK or not key.startswith(_DESK_STRINGS)
    }
    whole = {"meta": language.meta.model_dump(), "strings": strings}
    return ready(".json", json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode())
