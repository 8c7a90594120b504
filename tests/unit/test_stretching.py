"""Stretching: the same bytes everywhere, and never cheap outside tests."""

import json
from pathlib import Path
from typing import Any

import pytest
from argon2.low_level import Type, hash_secret_raw

from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier, parse_identifier
from api.crypto.stretching import Cost, check_cost, network_salt, stretch

VECTORS = Path(__file__).parents[1] / "vectors" / "lookup-v1.json"
LOOKUP: dict[str, Any] = json.loads(VECTORS.read_text())
CHEAP = Cost(8, 1)
SOMEONE = Identifier("phone", "+447700900123")


def test_the_salt_is_that_of_the_vectors() -> None:
    assert network_salt(LOOKUP["network"]).hex() == LOOKUP["argon2id"]["salt"]


@pytest.mark.parametrize("item", LOOKUP["items"], ids=lambda item: str(item["canonical"]))
def test_the_vectors_are_stretched_byte_for_byte(item: dict[str, Any]) -> None:
    identifier = parse_identifier(item["kind"], item["value"], item["region"])
    assert identifier.encoded().hex() == item["identifier"]
    cost = Cost(LOOKUP["argon2id"]["m_kib"], LOOKUP["argon2id"]["t"])
    assert stretch(identifier, LOOKUP["network"], cost).hex() == item["stretched"]


def test_the_vectors_hold_four_items() -> None:
    assert len(LOOKUP["items"]) == 4
    assert LOOKUP["argon2id"]["p"] == 1


def test_another_network_kind_or_cost_gives_other_bytes() -> None:
    seen = {
        stretch(SOMEONE, "test-one", CHEAP),
        stretch(SOMEONE, "test-two", CHEAP),
        stretch(Identifier("email", SOMEONE.canonical), "test-one", CHEAP),
        stretch(SOMEONE, "test-one", Cost(16, 1)),
        stretch(SOMEONE, "test-one", Cost(8, 2)),
    }
    assert len(seen) == 5
    assert all(len(x) == 32 for x in seen)


def test_a_real_network_stretches_at_the_least_cost_allowed() -> None:
    expected = hash_secret_raw(
        b"parasol/v1\0phone\0+447700900123", network_salt("demo"), 2, 19456, 1, 32, Type.ID
    )
    assert stretch(SOMEONE, "demo", Cost(19456, 2)) == expected


@pytest.mark.parametrize("cost", [Cost(19455, 2), Cost(19456, 1), Cost(0, 0), Cost(-1, 3)])
@pytest.mark.parametrize("network", ["demo", "test", "testing-1", "my-test-network"])
def test_a_weak_cost_is_refused_outside_tests(cost: Cost, network: str) -> None:
    for refuse in (lambda: check_cost(cost, network), lambda: stretch(SOMEONE, network, cost)):
        with pytest.raises(InvalidInput) as caught:
            refuse()
        assert caught.value.code == "weak-cost"


@pytest.mark.parametrize("cost", [Cost(7, 1), Cost(8, 0), Cost(-8, 1)])
def test_a_cost_argon2_does_not_know_is_refused_even_in_tests(cost: Cost) -> None:
    with pytest.raises(InvalidInput, match="weak-cost"):
        check_cost(cost, "test-network")


@pytest.mark.parametrize("cost", [Cost(1_048_577, 3), Cost(65536, 65), Cost(2**64, 2**64)])
@pytest.mark.parametrize("network", ["demo", "test-network"])
def test_a_cost_that_would_exhaust_a_phone_is_refused(cost: Cost, network: str) -> None:
    with pytest.raises(InvalidInput, match="excessive-cost"):
        check_cost(cost, network)


@pytest.mark.parametrize("cost", [Cost(19456, 2), Cost(65536, 3), Cost(1_048_576, 64)])
def test_usual_costs_are_accepted(cost: Cost) -> None:
    check_cost(cost, "demo")
