"""The group: what is no point or scalar never gets in, and the arithmetic is RFC 9496's."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rbcl._sodium import lib_path

from api.crypto import ristretto
from api.crypto.failures import InvalidInput
from api.crypto.ristretto import GENERATOR, ORDER, Element, Scalar


def _lines(text: str) -> list[str]:
    return text.split()


# RFC 9496, Appendix A.1: 0·G to 15·G.
MULTIPLES = _lines(
    """
0000000000000000000000000000000000000000000000000000000000000000
e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76
6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919
94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259
da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57
e882b131016b52c1d3337080187cf768423efccbb517bb495ab812c4160ff44e
f64746d3c92b13050ed8d80236a7f0007c3b3f962f5ba793d19a601ebb1df403
44f53520926ec81fbd5a387845beb7df85a96a24ece18738bdcfa6a7822a176d
903293d8f2287ebe10e2374dc1a53e0bc887e592699f02d077d5263cdd55601c
02622ace8f7303a31cafc63f8fc48fdc16e1c8c8d234b2f0d6685282a9076031
20706fd788b2720a1ed2a5dad4952b01f413bcf0e7564de8cdc816689e2db95f
bce83f8ba5dd2fa572864c24ba1810f9522bc6004afe95877ac73241cafdab42
e4549ee16b9aa03099ca208c67adafcafa4c3f3e4e5303de6026e3ca8ff84460
aa52e000df2e16f55fb1032fc33bc42742dad6bd5a8fc0be0167436c5948501f
46376b80f409b29dc2b5f6f0c52591990896e5716f41477cd30085ab7f10301e
e0c418f7c8d9c4cdd7395b93ea124f3ad99021bb681dfc3302a9d99a2e53e64e
"""
)

# RFC 9496, Appendix A.2: four non-canonical field elements, eight negative ones, eight with a
# non-square x², eight with a negative xy, and s = -1, where y = 0.
INVALID = _lines(
    """
00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
0100000000000000000000000000000000000000000000000000000000000000
01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20
c34c4e1826e5d403b78e246e88aa051c36ccf0aafebffe137d148a2bf9104562
c940e5a4404157cfb1628b108db051a8d439e1a421394ec4ebccb9ec92a8ac78
47cfc5497c53dc8e61c91d17fd626ffb1c49e2bca94eed052281b510b1117a24
f1c6165d33367351b0da8f6e4511010c68174a03b6581212c71c0e1d026c3c72
87260f7a2f12495118360f02c26a470f450dadf34a413d21042b43b9d93e1309
26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371
4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f
de6a7b00deadc788eb6b6c8d20c0ae96c2f2019078fa604fee5b87d6e989ad7b
bcab477be20861e01e4a0e295284146a510150d9817763caf1a6f4b422d67042
2a292df7e32cababbd9de088d1d1abec9fc0440f637ed2fba145094dc14bea08
f4a9e534fc0d216c44b218fa0c42d99635a0127ee2e53c712f70609649fdff22
8268436f8c4126196cf64b3c7ddbda90746a378625f9813dd9b8457077256731
2810e5cbc2cc4d4eece54f61c6f69758e289aa7ab440b3cbeaa21995c2f4232b
3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e
a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220
d483fe813c6ba647ebbfd3ec41adca1c6130c2beeee9d9bf065c8d151c5f396e
8a2e1d30050198c65a54483123960ccc38aef6848e1ec8f5f780e8523769ba32
32888462f8b486c68ad7dd9610be5192bbeaf3b443951ac1a8118419d9fa097b
227142501b9d4355ccba290404bde41575b037693cef1f438c47f8fbf35d1165
5c37cc491da847cfeb9281d407efc41e15144c876e0170b499a96a22ed31e01e
445425117cb8c90edcbc7c1cc0e74f747f2c1efa5630a967c64f287792a48a4b
ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f
"""
)

# RFC 9496, Appendix A.3: the element derived from SHA-512 of each text.
DERIVED = {
    "Ristretto is traditionally a short shot of espresso coffee": (
        "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"
    ),
    "made with the normal amount of ground coffee but extracted with": (
        "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b"
    ),
    "about half the amount of water in the same amount of time": (
        "006ccd2a9e6867e6a2c5cea83d3302cc9de128dd2a9a57dd8ee7b9d7ffe02826"
    ),
    "by using a finer grind.": ("f8f0c87cf237953c5890aec3998169005dae3eca1fbb04548c635953c817f92a"),
    "This produces a concentrated shot of coffee per volume.": (
        "ae81e7dedf20a497e10c304a765c1767a42d6e06029758d2d7e8ef7cc4c41179"
    ),
    "Just pulling a normal shot short will produce a weaker shot": (
        "e2705652ff9f5e44d3e841bf1c251cf7dddb77d140870d1ab2ed64f1a9ce8628"
    ),
    "and is not a Ristretto as some believe.": (
        "80bd07262511cdde4863f8a7434cef696750681cb9510eea557088f76d9e5065"
    ),
}

NUMBERS = st.integers(min_value=1, max_value=ORDER - 1)


def number(n: int) -> Scalar:
    return Scalar((n % ORDER).to_bytes(32, "little"))


def refused(code: str, action: Callable[[], object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        action()
    assert caught.value.code == code


def test_the_lists_of_the_rfc_are_complete() -> None:
    assert (len(MULTIPLES), len(INVALID), len(set(INVALID)), len(DERIVED)) == (16, 29, 29, 7)


@pytest.mark.parametrize("encoding", INVALID)
def test_a_point_off_the_curve_is_refused(encoding: str) -> None:
    bad = bytes.fromhex(encoding)
    refused("invalid-element", lambda: ristretto.element(bad))


@pytest.mark.parametrize("encoding", INVALID)
def test_no_operation_takes_a_bad_point_by_mistake(encoding: str) -> None:
    bad = Element(bytes.fromhex(encoding))
    refused("invalid-element", lambda: ristretto.add(GENERATOR, bad))
    refused("invalid-element", lambda: ristretto.add(bad, GENERATOR))
    refused("invalid-element", lambda: ristretto.multiply(number(7), bad))
    refused("invalid-element", lambda: ristretto.weighted_sum([number(7)], [bad]))


def test_the_identity_is_refused() -> None:
    identity = Element(bytes(32))
    refused("invalid-element", lambda: ristretto.element(identity))
    refused("invalid-element", lambda: ristretto.multiply(number(7), identity))
    refused("invalid-element", lambda: ristretto.add(GENERATOR, identity))


@pytest.mark.parametrize("n", range(1, 16))
def test_a_point_has_one_spelling_only(n: int) -> None:
    good = bytes.fromhex(MULTIPLES[n])
    refused("invalid-element", lambda: ristretto.element(good[:31] + bytes([good[31] | 0x80])))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64, 1_000_000])
def test_bytes_of_another_length_are_refused(length: int) -> None:
    data = b"\x02" * length
    refused("invalid-element", lambda: ristretto.element(data))
    refused("invalid-scalar", lambda: ristretto.scalar(data))
    refused("invalid-element", lambda: ristretto.multiply(number(7), Element(data)))
    refused("invalid-element", lambda: ristretto.multiply_base(Scalar(data)))
    if length != 64:
        refused("invalid-scalar", lambda: ristretto.scalar_from_uniform(data))
        refused("invalid-element", lambda: ristretto.hash_to_element(data))


@pytest.mark.parametrize("n", range(1, 16))
def test_small_multiples_of_the_generator_are_those_of_the_rfc(n: int) -> None:
    expected = bytes.fromhex(MULTIPLES[n])
    assert ristretto.element(expected) == expected
    assert ristretto.multiply_base(number(n)) == expected
    assert ristretto.multiply(number(n), GENERATOR) == expected
    assert ristretto.weighted_sum([number(1)] * n, [GENERATOR] * n) == expected
    if n > 1:
        assert ristretto.add(Element(bytes.fromhex(MULTIPLES[n - 1])), GENERATOR) == expected


@pytest.mark.parametrize("text", DERIVED)
def test_elements_are_derived_as_in_the_rfc(text: str) -> None:
    digest = hashlib.sha512(text.encode()).digest()
    assert ristretto.hash_to_element(digest).hex() == DERIVED[text]


@pytest.mark.parametrize("n", [ORDER, ORDER + 1, 2**252 + 2**251, 2**255, 2**256 - 1])
def test_a_scalar_that_is_not_reduced_is_refused(n: int) -> None:
    data = n.to_bytes(32, "little")
    refused("invalid-scalar", lambda: ristretto.scalar(data))
    refused("invalid-scalar", lambda: ristretto.scalar(data, allow_zero=True))


def test_zero_is_a_scalar_of_proofs_only() -> None:
    refused("invalid-scalar", lambda: ristretto.scalar(bytes(32)))
    assert ristretto.scalar(bytes(32), allow_zero=True) == bytes(32)
    assert ristretto.scalar(number(ORDER - 1)) == number(ORDER - 1)
    assert ristretto.scalar(number(1)) == number(1)


def test_zero_has_no_inverse() -> None:
    refused("invalid-scalar", lambda: ristretto.scalar_invert(Scalar(bytes(32))))


@pytest.mark.parametrize("multiple", [0, 1, 5])
def test_uniform_bytes_that_reduce_to_zero_are_refused(multiple: int) -> None:
    data = (multiple * ORDER).to_bytes(64, "little")
    refused("invalid-scalar", lambda: ristretto.scalar_from_uniform(data))


@given(st.binary(min_size=64, max_size=64).filter(any))
def test_uniform_bytes_are_reduced_modulo_the_order(data: bytes) -> None:
    expected = int.from_bytes(data, "little") % ORDER
    assert int.from_bytes(ristretto.scalar_from_uniform(data), "little") == expected


@given(NUMBERS, NUMBERS)
def test_scalars_behave_as_numbers_modulo_the_order(a: int, b: int) -> None:
    x, y = number(a), number(b)
    assert ristretto.scalar_add(x, y) == number(a + b)
    assert ristretto.scalar_sub(x, y) == number(a - b)
    assert ristretto.scalar_mul(x, y) == number(a * b)
    assert ristretto.scalar_negate(x) == number(-a)
    assert ristretto.scalar_invert(x) == number(pow(a, -1, ORDER))


@given(NUMBERS, NUMBERS.filter(lambda n: n != 1))
def test_multiplication_distributes_over_addition(a: int, b: int) -> None:
    if (a + b) % ORDER == 0:
        return
    p, q = ristretto.multiply_base(number(a)), ristretto.multiply_base(number(b))
    assert ristretto.add(p, q) == ristretto.multiply_base(number(a + b))
    assert ristretto.multiply(number(b), p) == ristretto.multiply(number(a), q)
    both = ristretto.weighted_sum([number(a), number(b)], [q, p])
    assert both == ristretto.multiply_base(number(2 * a * b))


def test_arriving_at_the_identity_is_a_refusal_or_a_value_and_never_a_crash() -> None:
    p, minus_p = ristretto.multiply_base(number(5)), ristretto.multiply_base(number(-5))
    refused("invalid-element", lambda: ristretto.add(p, minus_p))
    refused("invalid-element", lambda: ristretto.multiply(number(0), p))
    refused("invalid-element", lambda: ristretto.multiply_base(number(0)))
    assert ristretto.weighted_sum([number(1), number(1)], [p, minus_p]) == bytes(32)
    assert ristretto.weighted_sum([number(0)], [p]) == bytes(32)
    assert ristretto.weighted_sum([number(0), number(1)], [p, minus_p]) == minus_p
    assert ristretto.weighted_sum([], []) == bytes(32)


def test_every_result_is_bytes() -> None:
    a, b = number(5), number(7)
    results = [
        ristretto.element(GENERATOR),
        ristretto.scalar(a),
        ristretto.scalar_from_uniform(bytes(63) + b"\1"),
        ristretto.hash_to_element(bytes(63) + b"\1"),
        ristretto.add(GENERATOR, GENERATOR),
        ristretto.multiply(a, GENERATOR),
        ristretto.multiply_base(a),
        ristretto.weighted_sum([a, b], [GENERATOR, GENERATOR]),
        ristretto.scalar_add(a, b),
        ristretto.scalar_sub(a, b),
        ristretto.scalar_mul(a, b),
        ristretto.scalar_negate(a),
        ristretto.scalar_invert(a),
    ]
    assert {(type(result), len(result)) for result in results} == {(bytes, 32)}


def test_threads_do_not_mix_their_results() -> None:
    numbers = list(range(1, 400))
    expected = [ristretto.multiply_base(number(n * n)) for n in numbers]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(
            lambda n: ristretto.multiply(number(n), ristretto.multiply_base(number(n))), numbers
        )
        assert list(found) == expected


def test_no_copy_of_the_library_is_left_behind(tmp_path: Path) -> None:
    assert not Path(lib_path).exists()
    program = (
        "import api.crypto.ristretto as r, rbcl._sodium, sys; "
        "print(rbcl.__name__, sys.modules['rbcl._sodium'].lib_path, r.GENERATOR.hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in done.stdout
    assert MULTIPLES[1] in done.stdout
    assert list(tmp_path.iterdir()) == []
