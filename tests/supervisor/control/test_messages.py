"""What an operator writes as JSON is read as the message's type says; a mistake is told with what would fit."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from types import SimpleNamespace

import msgspec
import pytest

from actors import Actor, Fed, Message, UsageError, handles
from actors.protocol.protocol import protocol_of
from supervisor.control.messages import read


class Colour(enum.Enum):
    RED = "red"
    DEEP_BLUE = "deep blue"


class Circle(msgspec.Struct, tag=True):
    radius: float


class Square(msgspec.Struct, tag="sq", tag_field="form"):
    side_length: float = msgspec.field(default=1.0, name="sideLength")


class Pair(msgspec.Struct, array_like=True):
    left: int
    right: int


class Draw(Message[None], rename="camel"):
    first_shape: Circle | None = None
    shapes: tuple[Square, ...] = ()
    colour: Colour = Colour.RED
    pair: Pair | None = None


class Watch(Message[AsyncIterator[int]]):
    pass


class Sum(Fed[int, int]):
    pass


class Painter(Actor):
    @handles
    def draw(self, msg: Draw) -> None: ...

    @handles
    async def watch(self, msg: Watch) -> AsyncIterator[int]:
        yield 1

    @handles
    async def sum(self, msg: Sum, items: AsyncIterator[int]) -> int:
        return 0


MAILBOX = SimpleNamespace(path="/root/painter", protocol=protocol_of(Painter))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", Draw()),
        ('{"first_shape": {"type": "Circle", "radius": 2}}', Draw(Circle(2.0))),
        (
            '{"shapes": [{"form": "sq", "sideLength": 3}, {}], "colour": "deep blue"}',
            Draw(None, (Square(3.0), Square()), Colour.DEEP_BLUE),
        ),
        ('{"pair": [1, 2]}', Draw(pair=Pair(1, 2))),
    ],
)
def test_what_is_read(body, message):
    assert message == read(MAILBOX, "Draw", body)


def test_a_mistake_is_told_with_the_json_that_fits():
    """Also tags, renamed fields, arrays and the values of enums, which a signature does not show."""
    with pytest.raises(UsageError) as told:
        read(MAILBOX, "Draw", '{"colour": "blue"}')
    for words in (
        "Invalid enum value 'blue' - at `$.colour`; it is Draw(first_shape: Circle | None = None,",
        'Circle is {type: "Circle", radius: float}',
        'Square is {form: "sq", sideLength: float = 1.0}',
        'Colour is "red" or "deep blue"',
        "Pair is [left: int, right: int]",
    ):
        assert words in str(told.value)


@pytest.mark.parametrize(
    ("message", "words"),
    [("Watch", r"is answered with a stream, .*ref.stream"), ("Sum", r"is followed by items, .*ref.feed")],
)
def test_streams_are_for_programs(message, words):
    with pytest.raises(UsageError, match=words):
        read(MAILBOX, message, "{}")
