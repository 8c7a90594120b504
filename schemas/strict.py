"""JSON of strangers: read so that nothing in it costs much, or means two things."""

import json
from typing import Any, Final

MOST_VALUES: Final = 50_000
"""Commas and opening brackets, wherever they stand: a byte of JSON can become a hundred here."""
MOST_DEPTH: Final = 16
MOST_DIGITS: Final = 16

_MANY = b",[{"


def read_json(data: bytes) -> Any:  # noqa: ANN401  (it is any JSON)
    """Return what `data` says: UTF-8, integers only, no key twice, and bounded in every way.

    Raises ValueError, without anything of what was read, for all else.
    """
    try:
        return _read(data)
    except (ValueError, RecursionError):
        raise ValueError("not strict JSON") from None


def _read(data: bytes) -> object:
    if len(data) - len(data.translate(None, _MANY)) > MOST_VALUES:
        raise ValueError
    value = json.loads(
        data.decode(),  # or json would guess at UTF-16
        object_pairs_hook=_distinct,
        parse_int=_short,
        parse_float=_refused,
        parse_constant=_refused,
    )
    if _is_deep(value):
        raise ValueError
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _short(text: str) -> int:
    if len(text.removeprefix("-")) > MOST_DIGITS:
        raise ValueError
    return int(text)


def _refused(_text: str) -> None:
    raise ValueError


def _is_deep(value: object) -> bool:
    layer: list[object] = [value]
    for _ in range(MOST_DEPTH + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True
