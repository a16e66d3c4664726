"""Routing: which queue of a pool a message goes into."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.delivery.routing import KEYS, SHARED, Router
from supervisor.core.terms import Routing


class Keyed(msgspec.Struct):
    key: Any


def choose(router, message, members):
    """The queue for a message."""
    return router.choose(router.key_of(message), members)


def members(size):
    return [f"pool/{index}" for index in range(size)]


def by_key():
    return Router(Routing.BY_KEY, "key")


MANY = [Keyed(f"customer-{number}") for number in range(4000)]


def test_least_loaded_has_one_queue():
    """All members take from it, every message goes into it."""
    router = Router(Routing.LEAST_LOADED, "")
    assert [SHARED] * 3 == [router.queue_of(member) for member in members(3)]
    assert {SHARED} == {choose(router, message, members(3)) for message in MANY}


@pytest.mark.parametrize("routing", [Routing.ROUND_ROBIN, Routing.BY_KEY])
def test_otherwise_each_member_has_its_own(routing):
    """What is routed to a member goes to no other."""
    assert members(3) == [Router(routing, "key").queue_of(member) for member in members(3)]


def test_round_robin_takes_turns():
    """Each member gets as many, and none gets two in a row."""
    router = Router(Routing.ROUND_ROBIN, "")
    turns = [router.choose(None, members(3)) for _ in range(300)]
    assert dict.fromkeys(members(3), 100) == Counter(turns)
    assert all(one != other for one, other in pairwise(turns))


def test_round_robin_goes_on_with_other_members():
    """A pool that is resized continues with the members it has."""
    router = Router(Routing.ROUND_ROBIN, "")
    for size in (3, 1, 5, 2):
        assert set(members(size)) == {router.choose(None, members(size)) for _ in range(size)}


@pytest.mark.parametrize("size", range(2, 10))
def test_keys_spread_evenly(size):
    """No member has more than its share, give or take a fifth."""
    router = by_key()
    counts = Counter(choose(router, message, members(size)) for message in MANY)
    share = len(MANY) / size
    assert all(0.8 * share < counts[member] < 1.2 * share for member in members(size)), counts


keys = st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.binary(), st.tuples(st.integers(0, 9), st.text()))


@given(key=keys, size=st.integers(1, 8), data=st.data())
def test_a_key_keeps_its_member(key, size, data):
    """For each asker, in whatever order the members stand; and when another goes or comes it stays where it is."""
    home = choose(by_key(), Keyed(key), members(size))
    assert home in members(size)
    assert home == choose(by_key(), Keyed(key), data.draw(st.permutations(members(size))))
    gone = data.draw(st.sampled_from(members(size)))
    if gone != home:
        assert home == choose(by_key(), Keyed(key), [member for member in members(size) if member != gone])
    assert choose(by_key(), Keyed(key), members(size + 1)) in (home, f"pool/{size}")


def test_a_resized_pool_moves_few_keys():
    """One member more takes its share from each of the others, and nothing moves between those."""
    router = by_key()
    moved = [choose(router, message, members(5)) for message in MANY]
    assert 0.15 < sum(home == "pool/4" for home in moved) / len(MANY) < 0.25


def test_keys_of_different_types_are_different_keys():
    """The number one and the text "1" need not meet."""
    router = by_key()
    kinds = {choose(router, Keyed(key), members(9)) for key in (1, "1", b"1", 1.0, (1,), None, True)}
    assert len(kinds) > 1


def test_a_key_stays_where_it_is_when_the_pool_grows():
    """Its member lives, so its messages and its state stay together; only keys never seen go to the newcomers."""
    router = Router(Routing.BY_KEY, "key")
    three = ["p/0", "p/1", "p/2"]
    before = {key: choose(router, Keyed(key), three) for key in range(200)}
    five = [*three, "p/3", "p/4"]
    assert before == {key: choose(router, Keyed(key), five) for key in range(200)}
    assert {"p/3", "p/4"} <= {choose(router, Keyed(key), five) for key in range(200, 400)}


def test_the_memory_for_keys_is_bounded():
    """Beyond the bound the key that was unused for longest is forgotten."""
    router = Router(Routing.BY_KEY, "key")
    for key in range(KEYS + 10):
        choose(router, Keyed(key), ["p/0", "p/1"])
    assert KEYS == len(router._known)
