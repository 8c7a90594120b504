"""Buckets: noise without a token, and nothing foreign, old or altered reads as "no warning"."""

import hmac
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from api.crypto.buckets import (
    Bucket,
    BucketOverflow,
    Counts,
    Layout,
    bucket_index,
    bucket_word,
    find,
    open_bucket,
    plan_layout,
    seal_bucket,
)
from api.crypto.failures import InvalidInput

VECTORS = Path(__file__).parents[1] / "vectors" / "lookup-v1.json"
LOOKUP: dict[str, Any] = json.loads(VECTORS.read_text())
ITEMS: list[dict[str, Any]] = LOOKUP["items"]
FILE = bytes.fromhex(LOOKUP["bucket"]["bytes"])
SEED = bytes.fromhex(LOOKUP["bucket"]["log_secret_seed"])
LOG_KEY = bytes.fromhex(LOOKUP["bucket"]["log_public_key"])
SALT = bytes.fromhex(LOOKUP["bucket_salt"])
SEALED = LOOKUP["bucket"]["sealed"]
NETWORK = LOOKUP["network"]
LISTED = next(item for item in ITEMS if item["canonical"] == LOOKUP["bucket"]["holds"])
INDEX = LISTED["bucket_index"]
TOKEN = bytes.fromhex(LISTED["token"])
COUNTS = Counts(1, 2, 3, 4, 5)
HOUR = 3600


def seal(
    entries: list[tuple[bytes, Counts]],
    layout: Layout,
    *,
    index: int = 0,
    epoch: int = 1,
    sealed: int = SEALED,
    salt: bytes = SALT,
    chance: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    return seal_bucket(
        entries,
        network=NETWORK,
        epoch=epoch,
        layout=layout,
        index=index,
        sealed=sealed,
        salt=salt,
        log_seed=SEED,
        chance=chance,
    )


def read(
    file: bytes,
    *,
    network: str = NETWORK,
    epoch: int = 1,
    bits: int = 0,
    index: int = 0,
    log_key: bytes = LOG_KEY,
    now: int = SEALED * HOUR,
    small: bool = False,
) -> Bucket:
    return open_bucket(
        file,
        network=network,
        epoch=epoch,
        bits=bits,
        index=index,
        log_key=log_key,
        now=now,
        small=small,
    )


def vector(file: bytes = FILE, **changed: Any) -> Bucket:
    """Open the vectors' file, or another in its place, as the client that asked for it."""
    asked = {"bits": LOOKUP["bits"], "index": INDEX, "small": True}
    return read(file, **(asked | changed))


def refused(code: str, action: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        action()
    assert caught.value.code == code


def signed(content: bytes, network: str = NETWORK) -> bytes:
    message = b"parasol/v1\0bucket file\0" + network.encode() + b"\0" + content
    return content + SigningKey(SEED).sign(message).signature


def altered(position: int, new: bytes) -> bytes:
    """The vectors' file with other bytes, signed again by the log key."""
    content = FILE[:-64]
    return signed(content[:position] + new + content[position + len(new) :])


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: str(item["canonical"]))
def test_a_token_belongs_to_the_bucket_of_the_vectors(item: dict[str, Any]) -> None:
    word = bucket_word(bytes.fromhex(item["token"]), NETWORK, LOOKUP["epoch"])
    assert word == item["bucket_word"]
    assert bucket_index(word, LOOKUP["bits"]) == item["bucket_index"]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: str(item["canonical"]))
def test_entries_are_those_of_the_vectors(item: dict[str, Any]) -> None:
    counts = Counts(**item["counts"])
    assert counts.encode().hex() == item["counts_bytes"]
    file = seal([(bytes.fromhex(item["token"]), counts)], Layout(0, 1))
    assert file[44:-64].hex() == item["entry"]
    assert find(read(file), bytes.fromhex(item["token"])) == Counts(*counts.encode())


def test_the_file_of_the_vectors_is_made_again() -> None:
    body = [FILE[i : i + 12].hex() for i in range(44, len(FILE) - 64, 12)]
    assert len(body) == LOOKUP["bucket"]["slots"] == 6
    body.remove(LISTED["entry"])
    noise = bytes.fromhex("".join(reversed(body)))
    layout = Layout(LOOKUP["bits"], 6)
    made = seal([(TOKEN, Counts(**LISTED["counts"]))], layout, index=INDEX, chance=lambda _: noise)
    assert made == FILE
    assert len(made) == layout.size


def test_the_file_of_the_vectors_says_what_it_holds() -> None:
    bucket = vector()
    assert (bucket.layout, bucket.index, bucket.epoch) == (Layout(4, 6), 8, 1)
    assert (bucket.sealed, bucket.salt) == (SEALED, SALT)
    assert find(bucket, TOKEN) == Counts(**LISTED["counts"])
    absent = [item for item in ITEMS if item is not LISTED]
    assert len(absent) == 3
    assert all(find(bucket, bytes.fromhex(item["token"])) is None for item in absent)


def test_counts_saturate() -> None:
    counts = Counts(300, 1, 254, 256, 255)
    assert counts.encode() == bytes([255, 1, 254, 255, 255])
    assert counts.total == 255
    assert Counts(100, 100, 55, 0, 0).total == 255
    assert Counts(100, 100, 54, 0, 0).total == 254
    assert Counts(0, 0, 0, 9, 9).total == 0


@pytest.mark.parametrize(
    ("tokens", "layout"),
    [
        (0, Layout(0, 256)),
        (1, Layout(0, 256)),
        (256, Layout(0, 256)),
        (257, Layout(0, 512)),
        (10_752, Layout(0, 10_752)),
        (10_753, Layout(1, 6040)),  # ⌈5504 + 7·√5504⌉ + 16 = ⌈6023.32⌉ + 16
        (20_480, Layout(2, 5637)),  # ⌈5120 + 7·√5120⌉ + 16 = ⌈5620.88⌉ + 16
    ],
)
def test_a_list_is_cut_no_finer_than_the_limit_asks(tokens: int, layout: Layout) -> None:
    assert plan_layout(tokens) == layout


@given(st.integers(0, 3_000_000), st.integers(0, 5))
def test_a_planned_file_fits_the_limit_and_satisfies_clients(tokens: int, extra: int) -> None:
    layout = plan_layout(tokens, extra=extra)
    assert layout.slots << layout.bits >= tokens
    assert layout.bits == 8 or layout.size <= 131_072
    assert layout.bits == 0 or layout.size > 48 * 1024
    if layout.bits:
        assert plan_layout(tokens, plan_layout(tokens).size).bits <= layout.bits


def test_a_list_beyond_the_finest_cut_stays_at_eight_bits() -> None:
    layout = plan_layout(10_000_000)
    assert layout.bits == 8
    assert layout.size > 131_072


def test_an_overflow_makes_the_next_plan_larger() -> None:
    assert plan_layout(1, extra=1) == Layout(0, 512)
    first, second = plan_layout(10_753), plan_layout(10_753, extra=1)
    assert (first.bits, second.bits) == (1, 1)
    assert second.slots > first.slots


def test_a_low_limit_cuts_a_short_list() -> None:
    assert plan_layout(256, limit=2048) == Layout(2, 136)  # 64 + 7·8 + 16; Layout(1, 224) is 2,796


@pytest.mark.parametrize("bits", [-1, 9, 32, 33])
def test_a_client_never_asks_for_a_finer_cut_than_eight_bits(bits: int) -> None:
    refused("bucket-bits", lambda: bucket_index(2**32 - 1, bits))


def test_the_index_is_the_top_bits() -> None:
    assert [bucket_index(0xA5FFFFFF, bits) for bits in (0, 1, 4, 8)] == [0, 1, 0xA, 0xA5]


TOKENS = st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=30)


@settings(max_examples=50)
@given(TOKENS, st.lists(st.integers(0, 400), min_size=155, max_size=155), st.integers(0, 20))
def test_what_is_sealed_is_found_and_nothing_else(
    tokens: list[bytes], numbers: list[int], unused: int
) -> None:
    entries = [(token, Counts(*numbers[5 * i : 5 * i + 5])) for i, token in enumerate(tokens)]
    file = seal(entries, Layout(0, len(entries) + unused))
    bucket = read(file)
    assert len(bucket.entries) == len(entries) + unused
    for token, counts in entries:
        assert find(bucket, token) == Counts(*counts.encode())
    assert find(bucket, b"someone who is not listed".ljust(32)) is None


def test_an_empty_bucket_has_no_match() -> None:
    assert find(read(seal([], Layout(0, 0))), TOKEN) is None
    assert find(read(seal([], Layout(0, 256))), TOKEN) is None


def test_an_entry_before_and_after_all_others_is_found() -> None:
    for fill in (b"\0", b"\xff"):
        bucket = read(seal([(TOKEN, COUNTS)], Layout(0, 3), chance=fill.__mul__))
        assert find(bucket, TOKEN) == COUNTS


def test_sealing_again_shows_nothing_of_what_changed() -> None:
    entries = [(bytes([i]) * 32, COUNTS) for i in range(20)]
    one = read(seal(entries, Layout(0, 20), salt=b"1" * 16))
    two = read(seal(entries, Layout(0, 20), salt=b"2" * 16))
    assert not set(one.entries) & set(two.entries)
    assert find(one, entries[7][0]) == find(two, entries[7][0]) == COUNTS


def test_the_order_of_reports_does_not_show() -> None:
    entries = [(bytes([i]) * 32, COUNTS) for i in range(20)]
    assert seal(entries, Layout(0, 20)) == seal(entries[::-1], Layout(0, 20))


def test_unused_slots_take_just_enough_chance() -> None:
    asked: list[int] = []

    def chance(n: int) -> bytes:
        asked.append(n)
        return secrets.token_bytes(n)

    seal([(TOKEN, COUNTS)], Layout(0, 256), chance=chance)
    assert asked == [255 * 12]


def test_a_bucket_that_overflows_is_not_cut_short() -> None:
    entries = [(bytes([i]) * 32, COUNTS) for i in range(5)]
    assert len(seal(entries, Layout(0, 5))) == Layout(0, 5).size
    with pytest.raises(BucketOverflow):
        seal(entries, Layout(0, 4))


def test_a_salt_or_chance_of_another_length_seals_nothing() -> None:
    refused("bucket-malformed", lambda: seal([], Layout(0, 1), salt=b"1" * 15))
    refused("bucket-malformed", lambda: seal([], Layout(0, 1), salt=b"1" * 17))
    refused("bucket-malformed", lambda: seal([], Layout(0, 2), chance=lambda n: bytes(n - 12)))


def test_any_flipped_byte_of_a_file_is_refused() -> None:
    vector()
    for position in range(len(FILE)):
        for mask in (1, 0x80, 0xFF):
            flipped = bytearray(FILE)
            flipped[position] ^= mask
            with pytest.raises(InvalidInput) as caught:
                vector(file=bytes(flipped))
            assert caught.value.code in {"bucket-malformed", "bucket-signature"}


@pytest.mark.parametrize("length", [0, 1, 8, 43, 107, len(FILE) - 1, len(FILE) - 12])
def test_a_file_cut_short_is_refused(length: int) -> None:
    refused("bucket-malformed", lambda: vector(file=FILE[:length]))


@pytest.mark.parametrize("more", [b"\0", bytes(12), bytes(64)])
def test_a_file_with_more_at_its_end_is_refused(more: bytes) -> None:
    refused("bucket-malformed", lambda: vector(file=FILE + more))
    refused("bucket-malformed", lambda: vector(file=signed(FILE[:-64] + more)))


@pytest.mark.parametrize(
    ("position", "new"),
    [
        (0, b"PARASOL2"),
        (13, b"\1"),
        (14, b"\1"),
        (15, b"\1"),
        (20, (5).to_bytes(4)),
        (20, (7).to_bytes(4)),
        (20, b"\xff" * 4),
    ],
)
def test_a_signed_file_of_another_shape_is_refused(position: int, new: bytes) -> None:
    refused("bucket-malformed", lambda: vector(file=altered(position, new)))


def test_a_signed_file_out_of_order_is_refused() -> None:
    body = FILE[44:-64]
    turned = FILE[:44] + body[12:24] + body[:12] + body[24:]
    refused("bucket-malformed", lambda: vector(file=signed(turned)))
    assert vector(file=signed(FILE[:44] + body)).entries == vector().entries


def test_a_file_of_another_network_or_log_is_refused() -> None:
    refused("bucket-signature", lambda: vector(network="test-other"))
    refused("bucket-signature", lambda: vector(log_key=bytes(SigningKey(bytes(32)).verify_key)))
    refused("bucket-signature", lambda: vector(log_key=b""))
    refused("bucket-signature", lambda: vector(log_key=bytes(32)))
    refused("bucket-signature", lambda: vector(file=signed(FILE[:-64], "test-other")))


@pytest.mark.parametrize("asked", [{"epoch": 2}, {"bits": 3}, {"bits": 0}, {"index": 9}])
def test_a_bucket_that_was_not_asked_for_is_refused(asked: dict[str, Any]) -> None:
    refused("bucket-other", lambda: vector(**asked))


@pytest.mark.parametrize(
    ("position", "new"), [(8, (2).to_bytes(4)), (12, b"\5"), (16, (9).to_bytes(4))]
)
def test_a_bucket_that_answers_another_question_is_refused(position: int, new: bytes) -> None:
    refused("bucket-other", lambda: vector(file=altered(position, new)))


@pytest.mark.parametrize("bits", [9, 255])
def test_a_cut_that_singles_someone_out_is_refused(bits: int) -> None:
    refused("bucket-bits", lambda: vector(file=altered(12, bytes([bits])), bits=bits))
    refused("bucket-other", lambda: vector(file=altered(12, bytes([bits]))))


def test_a_small_bucket_is_refused_unless_it_is_the_whole_list() -> None:
    refused("bucket-small", lambda: vector(small=False))
    exactly, more = Layout(1, 4087), Layout(1, 4088)
    assert exactly.size == 48 * 1024
    refused("bucket-small", lambda: read(seal([], exactly), bits=1))
    assert read(seal([], exactly), bits=1, small=True).layout == exactly
    assert read(seal([], more), bits=1).layout == more
    assert read(seal([], Layout(0, 256))).layout == Layout(0, 256)


def test_an_old_bucket_is_refused() -> None:
    last = (SEALED + 48) * HOUR
    assert vector(now=last) == vector()
    refused("bucket-stale", lambda: vector(now=last + 1))
    refused("bucket-stale", lambda: vector(now=2**40))


def test_a_bucket_from_the_future_is_refused() -> None:
    first = (SEALED - 1) * HOUR
    assert vector(now=first) == vector()
    refused("bucket-future", lambda: vector(now=first - 1))
    refused("bucket-future", lambda: vector(now=0))


def test_nothing_of_a_bucket_can_be_read_without_its_token() -> None:
    bucket = vector()
    h = hmac.digest(
        TOKEN, b"parasol/v1\0entry\0" + NETWORK.encode() + b"\0\0\0\0\1\0" + SALT, "sha512"
    )
    entry = next(entry for entry in bucket.entries if entry.startswith(h[:7]))
    assert TOKEN not in FILE
    assert entry[7:] != Counts(**LISTED["counts"]).encode()
    assert LISTED["entry"] not in repr(bucket)


def test_ten_thousand_entries_are_sealed_and_found() -> None:
    entries = [(i.to_bytes(32), Counts(i % 300, 0, 0, 1, 0)) for i in range(10_000)]
    bucket = read(seal(entries, plan_layout(10_000)))
    assert len(bucket.entries) == 10_240
    assert find(bucket, entries[299][0]) == Counts(255, 0, 0, 1, 0)
    assert find(bucket, entries[9_999][0]) == Counts(99, 0, 0, 1, 0)
    assert find(bucket, (10_000).to_bytes(32)) is None
