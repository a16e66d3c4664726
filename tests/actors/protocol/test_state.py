"""What cannot be a state is refused where the class is read."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from actors import Actor, UsageError
from actors.protocol.protocol import protocol_of
from tests.support.keepers import Keeper, Total


class Fits(Keeper):
    """Inherits both."""


class OnlySave(Actor):
    def save(self) -> Total: ...


class OnlyLoad(Actor):
    def load(self, state: Total) -> None: ...


class TwoTypes(Actor):
    def save(self) -> int: ...

    def load(self, state: str) -> None: ...


class Untyped(Actor):
    def save(self): ...

    def load(self, state: Total) -> None: ...


class Nothing(Actor):
    def save(self) -> None: ...

    def load(self, state: None) -> None: ...


class Async(Actor):
    async def save(self) -> Total: ...

    def load(self, state: Total) -> None: ...


class Custom:
    """Msgspec does not know it."""


class Unknown(Actor):
    def save(self) -> Custom: ...

    def load(self, state: Custom) -> None: ...


class Flows(Actor):
    def save(self) -> Iterator[int]:
        yield 1

    def load(self, state: Iterator[int]) -> None: ...


class MoreArguments(Actor):
    def save(self, path: str) -> Total: ...

    def load(self, state: Total) -> None: ...


class Static(Actor):
    @staticmethod
    def save() -> Total: ...

    def load(self, state: Total) -> None: ...


class Unreadable(Actor):
    def save(self) -> NotThere: ...  # noqa: F821

    def load(self, state: Total) -> None: ...


@pytest.mark.parametrize(
    ("actor", "text"),
    [
        (OnlySave, "OnlySave has save and no load"),
        (OnlyLoad, "OnlyLoad has load and no save"),
        (TwoTypes, "TwoTypes.save returns int and TwoTypes.load takes str"),
        (Untyped, "Untyped.save does not say what the state is"),
        (Nothing, "Nothing.save returns None, which is not a state"),
        (Async, "Async.save is async or has a yield"),
        (Unknown, "contains .*Custom, which has no codec"),
        (Flows, "Flows.save is async or has a yield"),
        (MoreArguments, "MoreArguments.save takes other arguments"),
        (Static, "Static.save is a staticmethod"),
        (Unreadable, "the annotation of Unreadable.save cannot be read"),
    ],
)
def test_it_is_refused_with_the_remedy(actor, text):
    with pytest.raises(UsageError, match=text):
        protocol_of(actor)


def test_both_are_inherited():
    assert Total is protocol_of(Fits).state.kept


def test_a_state_of_an_older_class_that_does_not_decode_says_what_to_do():
    codec = protocol_of(Fits).state
    with pytest.raises(UsageError, match=re.escape("give new fields a default")):
        codec.decode(b"\x01")
