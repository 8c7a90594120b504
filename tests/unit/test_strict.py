"""JSON of strangers: one meaning, little cost."""

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.strict import MOST_DEPTH, MOST_VALUES, read_json

SCALARS = st.none() | st.booleans() | st.integers(-(10**16) + 1, 10**16 - 1) | st.text()
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=MOST_DEPTH // 2,
)


def refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not strict JSON$") as caught:
        read_json(data)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@given(TREES)
def test_what_is_written_is_read(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"secret", b"{", b"[1,]", b"{'a':1}", b"1 2", b"\x00",
        b'{"secret":1,"secret":1}', b'[{"a":{"b":1,"c":2,"b":3}}]', b'{"a":1,"\\u0061":2}',
        b"NaN", b"[Infinity]", b"-Infinity", b"1.0", b"[1e3]", b"1E400", b"01", b"+1",
        b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', "\ufeff{}".encode(),
        "{}".encode("utf-16"), "{}".encode("utf-32"),
        b"1" * 17, b"-" + b"1" * 17, b"1" * 5000, b"[" + b"9" * 100_000 + b"]",
    ],
)  # fmt: skip
def test_everything_else_is_refused(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")]
)
def test_depth_is_bounded(opening: bytes, closing: bytes) -> None:
    times = MOST_DEPTH // len(opening.replace(b'"a":', b""))
    assert read_json(opening * times + b"1" + closing * times)
    refused(opening * (times + 1) + b"1" + closing * (times + 1))
    refused(opening * 10_000 + b"1" + closing * 10_000)
    refused(opening * 10_000_000)


def test_values_are_bounded() -> None:
    assert len(read_json(b"[" + b"1," * (MOST_VALUES - 1) + b"1]")) == MOST_VALUES
    refused(b"[" + b"1," * MOST_VALUES + b"1]")
    refused(b"[" + b"[]," * MOST_VALUES + b"[]]")
