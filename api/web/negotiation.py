"""What a browser would rather have, from its Accept headers (RFC 9110 §12.5)."""

import re
from collections.abc import Iterable, Sequence

LONGEST = 512
"""Characters of a header that are read: no browser sends as many."""

_ITEM = re.compile(
    r"\s*([A-Za-z0-9-]{1,40}|\*)\s*(?:;\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII | re.IGNORECASE,
)


def choose_coding(header: str | None, offered: Sequence[str]) -> str:
    """Return with which of the `offered` content codings, the best first, to answer.

    `identity` where the header accepts none of them, or likes it better.
    """
    weights = _weights(header)
    rest = weights.get("*", 0.0)
    best = max(offered, key=lambda coding: weights.get(coding, rest), default="identity")
    weight = weights.get(best, rest)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else "identity"


def choose_language(header: str | None, offered: Iterable[str], default: str) -> str:
    """Return which of the `offered` languages to speak, `default` where none is asked for.

    This is the look-up of RFC 4647 §3.4 (`fr-CA` finds `fr`); also, `pt` finds `pt-BR`.
    """
    weights = _weights(header)
    codes = {code.lower(): code for code in (default, *offered)}
    acceptable = {tag: code for tag, code in codes.items() if weights.get(tag) != 0}
    for wanted in sorted(weights, key=lambda tag: -weights[tag]):
        found = _look_up(wanted, acceptable) if weights[wanted] else None
        if found is not None:
            return found
    return default


def _look_up(wanted: str, codes: dict[str, str]) -> str | None:
    if wanted == "*":
        return next(iter(codes.values()), None)
    tag = wanted
    while tag:
        if tag in codes:
            return codes[tag]
        tag = tag.rpartition("-")[0]
    return next((code for tag, code in codes.items() if tag.startswith(f"{wanted}-")), None)


def _weights(header: str | None) -> dict[str, float]:
    """Return the weight of each item, in lower case and in order; what is malformed is left out."""
    items = (_ITEM.fullmatch(item) for item in (header or "")[:LONGEST].split(","))
    return {item[1].lower(): float(item[2] or 1) for item in items if item}
