"""Canonical identifiers: one person, one spelling, and nothing that prints it."""

import contextlib
import json
import string
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st

from api.crypto import identifiers
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import MAX_CHARACTERS, Identifier, parse_identifier

VECTORS = Path(__file__).parents[1] / "vectors" / "identifiers.json"
CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
ACCEPTED = [case for case in CASES if case["canonical"] is not None]
REFUSED = [case for case in CASES if case["canonical"] is None]
SECRET = "+447700900123"


def refusal(kind: str, value: str, region: str | None = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_identifier(kind, value, region)
    assert caught.value.code == "invalid-identifier"
    return caught.value


def phone(value: str, region: str | None = None) -> str:
    return parse_identifier("phone", value, region).canonical


def email(value: str) -> str:
    return parse_identifier("email", value, None).canonical


def test_the_vectors_hold_cases_of_every_sort() -> None:
    sorts = Counter((case["kind"], case["canonical"] is None) for case in CASES)
    assert sorts[("phone", False)] >= 40
    assert sorts[("phone", True)] >= 10
    assert sorts[("email", False)] >= 10
    assert sorts[("email", True)] >= 9


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: ascii(case["value"]))
def test_every_spelling_of_the_vectors_has_its_canonical_form(case: dict[str, Any]) -> None:
    found = parse_identifier(case["kind"], case["value"], case["region"])
    assert (found.kind, found.canonical) == (case["kind"], case["canonical"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: ascii(case["value"])[:40])
def test_what_the_vectors_refuse_is_refused(case: dict[str, Any]) -> None:
    refusal(case["kind"], case["value"], case["region"])


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: ascii(case["value"]))
def test_a_canonical_form_parsed_again_is_itself(case: dict[str, Any]) -> None:
    found = parse_identifier(case["kind"], case["canonical"], None)
    assert found == Identifier(case["kind"], case["canonical"])


def settle(kind: str, value: str, region: str | None = None) -> None:
    # Rejecting, unlike returning, fails the test when nothing at all was accepted.
    try:
        found = parse_identifier(kind, value, region)
    except InvalidInput:
        reject()
    assert parse_identifier(kind, found.canonical, None) == found


MANY = settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
CODES = st.sampled_from(["+54", "+549", "+52", "+521", "+55", "+551", "+39", "+44", "+1", "00"])


@MANY
@given(CODES, st.text(alphabet=string.digits, min_size=7, max_size=12))
@example("+440", "153445678")
def test_folding_ends_where_nothing_changes_any_more(code: str, digits: str) -> None:
    settle("phone", code + digits)


@MANY
@given(
    st.text(alphabet=string.digits * 2 + "+-. ()#?;,/*", min_size=8, max_size=16),
    st.sampled_from(["GB", "AR", "BR", "MX", "IT"]),
)
def test_whatever_phone_is_accepted_is_settled(value: str, region: str) -> None:
    settle("phone", value, region)


@given(
    st.lists(
        st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2011", "\u200e"]),
        min_size=12,
        max_size=12,
    )
)
def test_separators_between_digits_change_nothing(between: list[str]) -> None:
    spelled = "".join(d + s for d, s in zip(SECRET[1:], between, strict=True))
    assert phone("+" + spelled) == SECRET


LOCAL = st.text(alphabet=string.ascii_letters + string.digits + "._-+ÄßİςΣ", min_size=1, max_size=9)
DOMAIN = st.sampled_from(["example.org", "GoogleMail.com", "bücher.example", "STRASSE.example"])


@MANY
@given(LOCAL, DOMAIN)
@example("İ", "example.org")
@example("Some.One+Tag", "GoogleMail.com")
def test_whatever_address_is_accepted_is_settled(local: str, domain: str) -> None:
    settle("email", f"{local}@{domain}")


@given(st.sampled_from(["phone", "email", "name", ""]), st.text(), st.none() | st.text(max_size=3))
def test_no_input_does_worse_than_being_refused(kind: str, value: str, region: str | None) -> None:
    with contextlib.suppress(InvalidInput):
        parse_identifier(kind, value, region)


@pytest.mark.parametrize("kind", ["phone", "email"])
@pytest.mark.parametrize(
    "value",
    ["\ud800" + SECRET, SECRET + "\0", "\0" + SECRET, "a\ud800@example.org", "a@example.org\0"],
    ids=ascii,
)
def test_surrogates_and_nul_are_refused(kind: str, value: str) -> None:
    refusal(kind, value)


@pytest.mark.parametrize("kind", ["phone", "email"])
@pytest.mark.parametrize("filler", ["7", "\ufdfa", " ", "a@", "x1"])
def test_ten_megabytes_are_refused_unread(kind: str, filler: str) -> None:
    refusal(kind, filler * (10_000_000 // len(filler)))


def test_the_length_is_bounded_exactly() -> None:
    assert phone(SECRET + " " * (MAX_CHARACTERS - len(SECRET))) == SECRET
    refusal("phone", SECRET + " " * (MAX_CHARACTERS - len(SECRET) + 1))


@pytest.mark.parametrize("kind", ["", "Phone", "PHONE", "name", "phone ", "email\0"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    refusal(kind, SECRET)
    refusal(kind, "someone@example.org")


@pytest.mark.parametrize("region", ["", "gb", "XX", "ZZ", "001", "GBR", "G", "\ud800"])
def test_a_bad_region_is_refused_even_where_none_is_needed(region: str) -> None:
    refusal("phone", SECRET, region)


@pytest.mark.parametrize(
    "value",
    [
        "tel:0770-0900123;phone-context=+44",
        "+44 7700 900123;isub=1",
        "1-800-FLOWERS",
        "+44 7700 900123 или",
        "+44 7700 900123 доб. 5",
        "+44 7700 900123 int 5",
        "+44 7700 900123 x12345678",
        "+44 7700 900123 x5 x6",
        "+44 7700 900123 ext",
        "https://wa.me/message/ABCDEF",
        "https://example.org/447700900123",
        "https://wa.me/",
        "wa.me/07700900123",
        "tel:tel:+447700900123",
        "+447700900123/07700900124",
        "07700?900123",
        "IS_POSSIBLE_LOCAL_ONLY",
    ],
)
@pytest.mark.parametrize("region", [None, "GB"])
def test_a_number_inside_something_else_is_refused(value: str, region: str | None) -> None:
    refusal("phone", value, region)


@pytest.mark.parametrize(
    "value",
    [
        "+44 7700 900123 extension 1234567",
        "+44 7700 900123 EXT.5",
        "+44 7700 900123#5",
        "+44 7700 900123, x5",
        "TEL:+447700900123",
        "sms:+447700900123?body=hello%20you",
        "tel:00447700900123",
        "+44 7700 900123?anything",
        "https://wa.me/+447700900123",
        "https://www.wa.me/447700900123&x=1",
        "HTTPS://WA.ME/%2B44%207700%20900123",
        "http://api.whatsapp.com/send?phone=447700900123&text=100%",
        "whatsapp://send?phone=+447700900123/",
    ],
)
def test_links_and_extensions_are_taken_off(value: str) -> None:
    assert phone(value) == SECRET


def test_a_link_ignores_the_region_but_a_leading_double_zero_does_not() -> None:
    assert phone("wa.me/12025550188", "GB") == "+12025550188"
    assert phone("0012025550188") == "+12025550188"
    assert phone("0012025550188", "GB") == "+12025550188"
    refusal("phone", "0012025550188", "US")  # abroad is 011 there
    refusal("phone", "wa.me/00447700900123", "GB")  # libphonenumber alone would read this


@pytest.mark.parametrize("zeros", range(8))
def test_a_number_is_written_again_until_it_no_longer_changes(zeros: int) -> None:
    assert phone("+44" + "0" * zeros + "7700900123") == SECRET


def test_a_number_that_would_not_settle_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identifiers, "_MAX_ROUNDS", 1)
    assert phone(SECRET) == SECRET
    refusal("phone", "+44000" + SECRET[3:])


@pytest.mark.parametrize(
    "value",
    [
        "+tag@example.org",
        "a.+tag@example.org",
        "mailto:mailto:a@example.org",
        "a?b@example.org",
        "Someone <someone@example.org>",
        '"some one"@example.org',
        "someone@[127.0.0.1]",
        "someone@localhost",
        "someone@example.org, other@example.org",
    ],
)
def test_an_address_inside_something_else_is_refused(value: str) -> None:
    refusal("email", value)


def test_an_address_ignores_the_region() -> None:
    assert parse_identifier("email", "a@example.org", "DE").canonical == "a@example.org"


@pytest.mark.parametrize("canonical", [SECRET, "someone@example.org"])
def test_an_identifier_never_prints_itself(canonical: str) -> None:
    kind = "email" if "@" in canonical else "phone"
    found = parse_identifier(kind, canonical, None)
    texts = [repr(found), str(found), f"{found}", f"{found!r:>40}", "%s" % found]  # noqa: UP031
    texts += [repr([found]), repr({found: 1}), "{0!s}".format(found)]  # noqa: UP030, UP032
    assert all(kind in text and canonical not in text for text in texts)
    assert not hasattr(found, "__dict__")
    with pytest.raises(TypeError) as caught:
        format(found, ">40")
    assert canonical not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", SECRET + "\ud800"),
        ("phone", SECRET + "9" * 9),
        ("email", "quiet rowan@example.org"),
        ("email", "quiet.rowan@-example-.org"),
    ],
    ids=ascii,
)
def test_a_refusal_carries_nothing_of_what_was_sent(kind: str, value: str) -> None:
    refused = refusal(kind, value)
    assert refused.__cause__ is None
    assert refused.__context__ is None
    assert refused.args == ("invalid-identifier",)
    printed = "".join(traceback.format_exception(refused))
    assert "7700900" not in printed
    assert "rowan" not in printed


def test_identifiers_are_equal_by_value_and_by_kind() -> None:
    assert parse_identifier("phone", "07700 900123", "GB") == Identifier("phone", SECRET)
    assert Identifier("phone", SECRET).encoded() == b"parasol/v1\0phone\0+447700900123"
    assert len({Identifier("phone", SECRET), Identifier("phone", SECRET)}) == 1
