"""The log's tree, against published roots and against its own definition."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.crypto.failures import InvalidInput
from api.crypto.merkle import EMPTY, Frontier, root_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/documents-v1.json").read_text())

# The eight leaves and roots with which the implementations of RFC 6962 are tested.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
          "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

hashes = st.lists(st.binary(min_size=32, max_size=32), max_size=70)


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\0" + data).digest()


def defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + defined(leaves[:k]) + defined(leaves[k:])).digest()


def test_the_published_roots_are_found() -> None:
    frontier = Frontier()
    for text, root in zip(LEAVES, ROOTS, strict=True):
        frontier.append(leaf(bytes.fromhex(text)))
        assert frontier.root.hex() == root


def test_the_roots_of_the_vectors_are_found() -> None:
    leaves = [base64.b64decode(entry["leaf"]) for entry in VECTORS["entries"]]
    found = [root_of(leaves[:size]) for size in range(len(leaves) + 1)]
    assert [base64.b64encode(root).decode() for root in found] == VECTORS["roots"]
    assert found[0] == EMPTY


@given(hashes)
def test_the_root_is_the_one_that_is_defined(leaves: list[bytes]) -> None:
    assert root_of(leaves) == defined(leaves)


@given(hashes, hashes)
def test_a_kept_frontier_goes_on_where_it_was(before: list[bytes], after: list[bytes]) -> None:
    frontier = Frontier()
    frontier.extend(before)
    again = Frontier(frontier.size, bytes(frontier))
    copy = frontier.copy()
    again.extend(after)
    assert again.root == defined(before + after)
    assert again.size == len(before) + len(after)
    assert copy.root == frontier.root == defined(before)


@pytest.mark.parametrize(("size", "peaks"), [(-1, 0), (0, 32), (1, 0), (3, 32), (4, 64), (1, 31)])
def test_peaks_that_do_not_fit_the_size_are_refused(size: int, peaks: int) -> None:
    with pytest.raises(InvalidInput, match="malformed"):
        Frontier(size, bytes(peaks))
