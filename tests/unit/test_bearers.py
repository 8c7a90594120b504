"""Promises of PROTOCOL.md §5 about bearer tokens, codes and invitations."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.crypto.bearers import (
    Invitation,
    Letter,
    bearer_bytes,
    bearer_digest,
    bearer_letter,
    code_digest,
    format_access,
    format_invitation,
    new_bearer,
    new_code,
    parse_invitation,
)
from api.crypto.failures import InvalidInput

CODE = "_-" + "A" * 41
ROOT = "0f" * 32
LINE = f"https://alpha.example/join#{CODE}.{ROOT}"


def ones(length: int) -> bytes:
    return b"\xff" * length


def letters() -> st.SearchStrategy[Letter]:
    return st.sampled_from(["m", "d"])


@given(letter=letters(), secret=st.binary(min_size=32, max_size=32))
def test_a_new_bearer_is_recognised(letter: Letter, secret: bytes) -> None:
    assert bearer_letter(new_bearer(letter, lambda _: secret)) == letter


def test_a_bearer_holds_32_random_bytes() -> None:
    assert new_bearer("m", ones) == "psl_m_" + "_" * 42 + "8"


def test_a_bearer_is_stored_as_its_hash() -> None:
    bearer = new_bearer("d", ones)
    expected = hashlib.blake2b(bearer.encode(), digest_size=32).digest()
    assert bearer_digest(bearer) == expected
    assert bearer_bytes(bearer) == bearer.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "psl_m_" + "A" * 42,
        "psl_m_" + "A" * 44,
        "psl_x_" + "A" * 43,
        "PSL_m_" + "A" * 43,
        "psl_m_" + "A" * 42 + "+",
        "psl_m_" + "A" * 43 + "\n",
        " psl_m_" + "A" * 43,
        "psl_m_" + "A" * 42 + "é",
        "psl_m_" + "A" * 42 + "\udc80",
    ],
)
def test_what_is_no_bearer_is_unauthenticated(text: str) -> None:
    for use in (bearer_letter, bearer_digest, bearer_bytes):
        with pytest.raises(InvalidInput) as caught:
            use(text)
        assert str(caught.value) == "unauthenticated"


def test_a_code_is_stored_as_its_hash() -> None:
    code = new_code(ones)
    assert len(code) == 43
    assert len(code_digest(code)) == 32
    assert code_digest(code) != code_digest(CODE)


@pytest.mark.parametrize("text", ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 43 + "\n"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        code_digest(text)
    assert caught.value.code == "invalid-request"


@pytest.mark.parametrize(
    "address",
    [
        "https://alpha.example",
        "https://alpha.example:8443",
        "https://192.0.2.1",
        "https://[2001:db8::1]:8443",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
        "http://abcdefghijklmnop.onion",
    ],
)
def test_an_invitation_is_read_and_written(address: str) -> None:
    line = f"{address}/join#{CODE}.{ROOT}"
    invitation = parse_invitation(f" \t{line}\r\n")
    assert invitation == Invitation(address=address, code=CODE, root=bytes.fromhex(ROOT))
    assert format_invitation(invitation) == line


def test_a_telephone_may_write_the_scheme_with_a_capital() -> None:
    assert parse_invitation(LINE.replace("https", "Https")).address == "https://alpha.example"


def test_an_invitation_does_not_print_its_code() -> None:
    assert CODE not in repr(parse_invitation(LINE))


@pytest.mark.parametrize(
    "address",
    [
        "http://alpha.example",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://onion",
        "http://10.0.0.1",
        "http://[::2]",
        "http://[zz]",
        "http://[127.0.0.1",
        "ftp://alpha.example",
        "alpha.example",
        "//alpha.example",
        "https://",
        "https://alpha.example/",
        "https://alpha.example/path",
        "https://alpha.example?query",
        "https://user@alpha.example",
        "https://localhost@alpha.example",
        "https://alpha.example:",
        "https://alpha.example:0",
        "https://alpha.example:65536",
        "https://alpha.example:8o",
        "https://alpha example",
        "https://alpha..example",
        "https://älpha.example",
        "https://alpha.example#",
        "https://alpha.example\n",
        "https://" + "a" * 400,
    ],
)
def test_an_invitation_to_a_doubtful_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_invitation(f"{address}/join#{CODE}.{ROOT}")
    assert str(caught.value) == "invalid-invitation"


@pytest.mark.parametrize(
    "line",
    [
        "",
        LINE[:-1],
        LINE + "0",
        LINE.upper(),
        LINE.replace("0f", "0F"),
        LINE.replace("/join", "/Join"),
        LINE.replace("#", "?"),
        LINE.replace(".0f", "0f", 1),
        LINE.replace(CODE, CODE[1:]),
        LINE.replace(CODE, CODE[1:] + "="),
        LINE.replace("#", "#\n"),
    ],
)
def test_an_incomplete_invitation_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_invitation(line)
    assert str(caught.value) == "invalid-invitation"


def test_an_access_line_is_the_token_the_collective_and_the_root() -> None:
    bearer = new_bearer("d", ones)
    assert format_access(bearer, "rose", bytes.fromhex(ROOT)) == f"{bearer}.rose.{ROOT}"
