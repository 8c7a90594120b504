"""The pages' reading of identifiers: its own tests in Node, and that it is Python's."""

import json
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import idna
import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumberFormat,
    PhoneNumberType,
)

from api.crypto.failures import InvalidInput
from api.crypto.identifiers import parse_identifier

ROOT = Path(__file__).parents[2]
WITH_NODE = [str(ROOT / "api/web/with-node"), "node"]
METADATA = ROOT / "api/web/node_modules/libphonenumber-js/metadata.min.json"
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
FORMATS = [
    PhoneNumberFormat.E164,
    PhoneNumberFormat.INTERNATIONAL,
    PhoneNumberFormat.NATIONAL,
    PhoneNumberFormat.RFC3966,
]
FIRST_PLANE = 0x10000
# Each example is an answer of another process.
alike = settings(deadline=None, max_examples=300)


class Pages:
    """The pages' code in one Node process."""

    def __init__(self, node: "subprocess.Popen[str]") -> None:
        self._node = node

    def read(self, kind: str, value: str, region: str | None) -> tuple[str, str] | None:
        """Return the canonical form and what is shown for it; None for a refusal."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps([kind, value, region]) + "\n")
        self._node.stdin.flush()
        answer = json.loads(self._node.stdout.readline())
        return None if answer is None else (answer[0], answer[1])

    def agree(self, kind: str, value: str, region: str | None = None) -> None:
        """Fail unless both sides read `value` alike; a few sorts only Python need accept."""
        ours, theirs = read(kind, value, region), self.read(kind, value, region)
        if ours is not None and theirs is None and is_beyond(kind, value, ours[0]):
            return
        assert theirs == ours, ascii((kind, value, region))


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    command = [*WITH_NODE, "tests/web/identifiers-server.js"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        yield Pages(node)
        assert node.stdin is not None
        node.stdin.close()
        assert node.wait(timeout=30) == 0


def read(kind: str, value: str, region: str | None) -> tuple[str, str] | None:
    try:
        canonical = parse_identifier(kind, value, region).canonical
    except InvalidInput:
        return None
    if kind == "email":
        return canonical, canonical
    number = phonenumbers.parse(canonical)
    return canonical, phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def is_beyond(kind: str, value: str, canonical: str) -> bool:
    """Whether the pages may refuse what they have no tables for, and browsers differ in."""
    if any(unicodedata.category(c) == "Cn" for c in value):
        return True  # newer than this Python: letters or digits to some, junk to others
    if kind == "phone":
        return any(ord(c) >= FIRST_PLANE and c.isdecimal() for c in value)
    domain = idna.decode(canonical.rpartition("@")[2])
    return any(ord(c) >= FIRST_PLANE for c in value + domain) or mixes_directions(domain)


def mixes_directions(domain: str) -> bool:
    """Whether beside right-to-left letters stand signs without a direction, or foreign marks."""
    directions = {unicodedata.bidirectional(c) for c in domain}
    signs = directions & {"ON", "NSM"} or any("\u06f0" <= c <= "\u06f9" for c in domain)
    return bool(directions & {"R", "AL", "AN"} and signs)


def test_both_sides_have_the_same_numbering_plans() -> None:
    metadata = json.loads(METADATA.read_text("utf-8"))
    codes = {str(code): list(regions) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
    elsewhere = {code: ["001"] for code in metadata["nonGeographic"]}
    assert metadata["country_calling_codes"] | elsewhere == codes
    assert sorted(metadata["countries"]) == REGIONS
    for region, plan in metadata["countries"].items():
        assert described(plan) == ours(PhoneMetadata.metadata_for_region(region)), region
    for code, plan in metadata["nonGeographic"].items():
        assert described(plan) == ours(PhoneMetadata.metadata_for_nongeo_region(int(code))), code


def described(plan: list[Any]) -> list[Any]:
    plan = [field or None for field in plan] + [None] * 9
    return [*plan[:4], plan[7] or plan[5], plan[8]]


def ours(plan: Any) -> list[Any]:
    general = plan.general_desc
    lengths = list(general.possible_length)
    # Their metadata does not know these; it makes no difference while none is longer.
    assert max(general.possible_length_local_only, default=0) < max(lengths)
    rule = plan.national_prefix_transform_rule
    return [
        str(plan.country_code),
        plan.international_prefix,
        general.national_number_pattern,
        lengths,
        plan.national_prefix_for_parsing or None,
        rule and rule.replace("\\", "$"),
    ]


def test_example_numbers_of_all_regions_are_read_alike(pages: Pages) -> None:
    for region in REGIONS:
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None:
                continue
            national = phonenumbers.national_significant_number(number)
            spellings = [phonenumbers.format_number(number, form) for form in FORMATS]
            spellings += [national, f"0{national}", f"{number.country_code}{national}"]
            spellings += [f"+{number.country_code} (0){national}", f"{national}5", national[:-1]]
            for spelling in spellings:
                pages.agree("phone", spelling, region)
            pages.agree("phone", national, "US" if region == "GB" else "GB")
            pages.agree("phone", spellings[0], None)


def test_numbers_of_no_region_are_read_alike(pages: Pages) -> None:
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        number = phonenumbers.example_number_for_non_geo_entity(code)
        assert number is not None
        for form in FORMATS:
            pages.agree("phone", phonenumbers.format_number(number, form), None)


PREFIXES = ["", "+", "++", "00", "011", "0", "+0", "tel:", "wa.me/", "wa.me/%2B", "\uff0b", "* ("]
CODES = ["", "1", "44", "49", "39", "52", "521", "54", "549", "55", "7", "225", "800", "882", "999"]
BETWEEN = ["", "", "", "", *" -./~*,+x", "(0)", ") ", "\xa0", "\u2011"]
DIGITS = [*"0123456789" * 4, *"\u0663\u06f4\u096b\uff13\U0001d7d7\U0001e953"]
ENDS = ["", "", "", " x5", " ext. 12", " - 503#", "#12", ";ext=5", ",,5", "~5", *"?!\x1c", "%FF"]


@alike
@given(
    st.sampled_from(PREFIXES),
    st.sampled_from(CODES),
    st.lists(st.tuples(st.sampled_from(DIGITS), st.sampled_from(BETWEEN)), max_size=14),
    st.sampled_from(ENDS),
    st.none() | st.sampled_from(["GB", "US", "DE", "IT", "AR", "BR", "MX", "RU", "CI", "VI"]),
)
def test_whatever_is_written_as_a_number_is_read_alike(
    pages: Pages,
    prefix: str,
    code: str,
    digits: list[tuple[str, str]],
    end: str,
    region: str | None,
) -> None:
    pages.agree("phone", prefix + code + "".join(map("".join, digits)) + end, region)


LOCALS = [*"a+.@<' é名אßﬀİ①", '"', "X.Y", "+tag", "..", "ΑΣ"]
LOCALS += [*"\u0301\u017f\u200d\u2028\ufe0f\ua7f1\U0001d41a\U0001ccd6\U0001f984"]
LABELS = [*"aZ9-.。_ßẞςΣİéж", *"אב٣·・カ漢한ᄀไकー①㎏☃", "l·l", "--", "e\u0301", "\U00020bb7"]
LABELS += [*"\u017f\u0375\u03b1\u05f3\u0627\u06f5\u094d\u13a0\uab70\u1fb3\u3007\u3164"]
LABELS += [*"\u034f\u200c\ufe0f", "bücher", "שלום", "مثال", "gmail.com", "GoogleMail.com"]
LABELS += ["xn--", "XN--", "xn--bcher-kva", "xn--mgbh0fb"]
ENDINGS = ["", ".", ".org", ".ORG", ".test", ".c", ".1", ".xn--p1ai", ".рф", ".ישראל", ".中国"]


@alike
@given(
    st.lists(st.sampled_from(LOCALS), min_size=1, max_size=4).map("".join),
    st.lists(st.sampled_from(LABELS), min_size=1, max_size=4).map("".join),
    st.sampled_from(ENDINGS),
    st.sampled_from(["", "", "mailto:", " ", "\x85", "<"]),
)
@example("a", "ẞ", ".org", "")
@example("ΑΣ", "\u13a0\uab70", ".org", "")
@example("a" * 64, "é" * 60, ".org", "")
@example("é" * 120, "a", ".org", "")
def test_whatever_is_written_as_an_address_is_read_alike(
    pages: Pages, local: str, label: str, ending: str, before: str
) -> None:
    pages.agree("email", f"{before}{local}@{label}{ending}")


@alike
@given(
    st.text(st.sampled_from("ab1-éßא٣漢か・\u0301жİ\u200dक्𠮷"), min_size=1, max_size=6),
    st.text("abz019-", max_size=3),
    st.sampled_from(["org", "ישראל"]),
)
def test_encoded_labels_are_read_alike(pages: Pages, label: str, more: str, ending: str) -> None:
    encoded = label.encode("punycode").decode()
    pages.agree("email", f"a@xn--{encoded}.{ending}")
    pages.agree("email", f"a@xn--{encoded}{more}.{ending}")


@alike
@given(
    st.sampled_from(["phone", "email"]),
    st.characters(),
    st.sampled_from(["+44{}7700900123", "+447700900123{}", "{}+447700900123"]),
    st.sampled_from(["a{}b@example.org", "A{}@ex.org", "a@a{}b.org", "a@{}.org", "a@א{}.org"]),
)
def test_no_character_makes_a_difference(
    pages: Pages, kind: str, character: str, phone: str, email: str
) -> None:
    pages.agree(kind, (phone if kind == "phone" else email).format(character), None)


@alike
@given(st.sampled_from(["phone", "email"]), st.text(), st.none() | st.text(max_size=2))
def test_anything_at_all_is_read_alike(
    pages: Pages, kind: str, value: str, region: str | None
) -> None:
    pages.agree(kind, value, region)
