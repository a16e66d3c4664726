"""Codec: values to bytes and back, and the two errors it knows."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import UndecodableMessage, UsageError
from actors.wire.codec import Codec, encode, item_codec, register, reply_codec, unknown_type


class Custom:
    pass


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Tree(msgspec.Struct):
    left: Tree | None = None
    custom: list[Custom] | None = None


class Endless(msgspec.Struct):
    inner: Endless | None = None


@dataclass
class Plain:
    x: Custom


class Pair(NamedTuple):
    x: int
    y: Custom


class Typed(TypedDict):
    x: Custom


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_there_and_back(value):
    """Whatever was encoded decodes to the same."""
    codec = reply_codec(Any)
    assert value == codec.decode(msgspec.Raw(codec.encode(value)))


@given(st.binary(max_size=60))
def test_garbage_is_undecodable_and_nothing_else(data):
    """Any bytes at all give a Point or UndecodableMessage."""
    with contextlib.suppress(UndecodableMessage):
        assert isinstance(reply_codec(Point).decode(msgspec.Raw(data)), Point)


def test_what_does_not_decode_is_named_by_its_type():
    """Replies and items of streams and feeds are read alike, so that the text names the type."""
    with pytest.raises(UndecodableMessage, match="^Point does not decode: Expected `int`, got `str`"):
        reply_codec(Point).decode(msgspec.Raw(encode({"x": "five"})))


def test_bytes_too_deep_to_read():
    """A hostile nesting is refused like any other garbage."""
    with pytest.raises(UndecodableMessage):
        reply_codec(Any).decode(msgspec.Raw(b"\x91" * 100_000 + b"\xc0"))


@pytest.mark.parametrize(
    ("promised", "reply"),
    [
        (int, "x"),
        (int, True),
        (None, 0),
        (list[int], ["x"]),
        (Point, 3),
        (str, None),
        pytest.param(int, object(), id="an object"),
    ],
    ids=str,
)
def test_a_broken_promise(promised, reply):
    """A reply of another type is the actor's fault, and the text names both types."""
    with pytest.raises(UsageError) as caught:
        reply_codec(promised).encode(reply)
    assert type(reply).__name__ in str(caught.value)
    assert "promises" in str(caught.value)


def test_a_handler_that_returns_nothing():
    """The text says how that comes; an item that is None is yielded on purpose."""
    said = "is a NoneType, as that of a method without `return`, the message promises int"
    with pytest.raises(UsageError, match=f"^the reply {said} "):
        reply_codec(int).encode(None)
    with pytest.raises(UsageError, match="^the item is a NoneType, the message promises int "):
        item_codec(int).encode(None)


def test_an_item_of_another_type_is_told_as_an_item():
    """Who yields or feeds it looks for an item, not for a reply."""
    with pytest.raises(UsageError, match="^the item is a str, the message promises int"):
        item_codec(int).encode("two")


@pytest.mark.parametrize(("promised", "reply", "named"), [(int, 2**80, "an int"), (str, "\udcff", "a str")], ids=ascii)
def test_a_reply_of_the_promised_type_that_msgpack_does_not_take(promised, reply, named):
    """It says so; that it is of another type would be wrong."""
    with pytest.raises(UsageError, match=f"^the reply, {named}, cannot be sent: "):
        reply_codec(promised).encode(reply)


@pytest.mark.parametrize(
    ("promised", "reply"),
    [(int, 3), (None, None), (list[int], [1]), (Point, Point(1)), (tuple[int, str], (1, "x")), (Any, {"a": 1})],
    ids=str,
)
def test_a_kept_promise(promised, reply):
    """A reply of the promised type arrives as it was."""
    codec = reply_codec(promised)
    assert reply == codec.decode(msgspec.Raw(codec.encode(reply)))


class Seconds(float):
    pass


class Count(int):
    pass


class Word(str):
    __slots__ = ()

    def __str__(self):
        return "another"


@pytest.mark.parametrize(
    ("promised", "reply"), [(float, Seconds(1.5)), (int, Count(3)), (str, Word("x")), (list[float], [Seconds(0.25)])]
)
def test_an_instance_of_a_subclass_travels_as_its_base(promised, reply):
    """As numpy's float64, which is a float, in replies, fields and times."""
    codec = reply_codec(promised)
    back = codec.decode(msgspec.Raw(codec.encode(reply)))
    assert (reply, promised) == (back, promised if isinstance(back, list) else type(back))


class Exits(msgspec.Struct):
    number: int

    def __post_init__(self):
        if self.number < 0:
            raise SystemExit(0)


class Unsendable:
    pass


def refuse(value):
    raise FileNotFoundError("no device")


def test_a_reply_of_the_promised_type_that_its_codec_cannot_encode():
    """It says so; that it is of another type would be wrong."""
    register(Codec(Unsendable, refuse, refuse))
    with pytest.raises(UsageError, match="^the reply, an Unsendable, cannot be sent: the codec of .* no device$"):
        reply_codec(Unsendable).encode(Unsendable())


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Mutes(msgspec.Struct):
    number: int

    def __post_init__(self):
        if self.number < 0:
            raise Mute


class Shade(enum.Enum):
    RED = 1

    @classmethod
    def _missing_(cls, value):
        raise SystemExit(0)


class Holds(msgspec.Struct):
    inner: list[Exits] | None = None


@pytest.mark.parametrize(
    ("promised", "data"),
    [(Exits, {"number": -1}), (Holds, {"inner": [{"number": -1}]}), (Shade, 2), (Mutes, {"number": -1})],
    ids=["a Struct", "inside", "an Enum", "without words"],
)
def test_code_of_a_value_that_exits(promised, data):
    """SystemExit of a `__post_init__` is a value that does not decode; on an event loop it would end the daemon.

    So is an exception that cannot be put into words.
    """
    with pytest.raises(UndecodableMessage):
        reply_codec(promised).decode(msgspec.Raw(encode(data)))


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        (Codec(5, str, int), "a codec is a class and two functions"),
        (Codec(Custom, None, str), "a codec is a class and two functions"),
        (Codec(set, list, set), "a codec of set would never be asked"),
        (Codec(Point, str, Point), "a codec of Point would never be asked"),
        (Codec(dt.datetime, str, dt.datetime.fromisoformat), "a codec of datetime would never be asked"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value.type),
)
def test_a_codec_that_cannot_work(codec, words):
    """It is refused where it is used first, which is when a spec is made."""
    with pytest.raises(UsageError, match=words):
        register(codec)


def test_made_once():
    """One codec for each reply type."""
    assert reply_codec(list[int]) is reply_codec(list[int])


@pytest.mark.parametrize(
    "known",
    [int, None, Any, list[int], dict[str, Point], Point, Endless, dt.datetime, uuid.UUID, decimal.Decimal],
    ids=str,
)
def test_known_types(known):
    """Types with a codec, recursive ones included."""
    assert unknown_type(known) is None


@pytest.mark.parametrize(
    "unknown",
    [Custom, list[Custom], dict[str, Custom], Tree, Plain, Pair, Typed, tuple[int, Custom], Custom | None],
    ids=str,
)
def test_unknown_types_are_named(unknown):
    """However deep it lies, the type without a codec is named."""
    assert f"{__name__}.Custom" == unknown_type(unknown)


def test_a_callable_is_unknown():
    """Not every annotation is a class."""
    assert unknown_type(Callable[[int], int]) is not None


def test_encode_is_msgpack():
    """Nothing of our own in the bytes."""
    assert [1, "x"] == msgspec.msgpack.decode(encode((1, "x")))
