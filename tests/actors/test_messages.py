"""Message: a frozen value with a tag and a promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import pytest

from actors.errors import UsageError
from actors.messages import Message, Topic, reply_type, tag_of
from tests.support.spawning import DEADLINE

T = TypeVar("T")


class Count(Message[int]):
    of: str
    depth: int = 1


class CountMore(Count):
    more: bool = False


class Whole(Message[list[dict[str, int | None]]]):
    pass


class Silent(Message):
    pass


class Open(Message[T], Generic[T]):
    pass


class Renamed(Message[None], tag="other"):
    pass


def test_frozen():
    """A message does not change after it was made."""
    with pytest.raises(AttributeError):
        Count("a").of = "b"


def test_equal_and_hashable():
    """Two messages of the same fields are the same."""
    assert Count("a", 2) == Count("a", 2)
    assert 1 == len({Count("a"), Count("a")})


@pytest.mark.parametrize(
    ("message", "promised"),
    [
        (Count, int),
        (CountMore, int),
        (Whole, list[dict[str, int | None]]),
        (Silent, Any),
        (Open, Any),
        (Renamed, type(None)),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_reply_type(message, promised):
    """R is found through inheritance; a class without R promises nothing."""
    assert promised in (reply_type(message), type(reply_type(message)))


def test_tag_is_the_class_name():
    """Unless the class says otherwise."""
    assert "Count" == tag_of(Count)
    assert "CountMore" == tag_of(CountMore)
    assert "other" == tag_of(Renamed)


def test_short_on_the_wire():
    """An array of tag and fields, without field names."""
    assert ["Count", "a", 1] == msgspec.msgpack.decode(msgspec.msgpack.encode(Count("a")))


def test_unknown_fields_are_refused():
    """A message with more fields than the class has is another message."""
    data = msgspec.msgpack.encode(["Count", "a", 1, "more"])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(data, type=Count)


def test_not_idempotent_by_default():
    """At most once, unless the author says otherwise."""
    assert Count.idempotent is False


def test_idempotent_is_no_field():
    """It belongs to the class, not to the wire."""
    assert ("of", "depth") == Count.__struct_fields__


POSTPONED = """
from __future__ import annotations
import datetime, typing
from typing import ClassVar
from actors import Message

class Price(Message[int]):
    idempotent: ClassVar[bool] = True
    at_most_once: typing.ClassVar[bool] = False
    of: str
    since: datetime.date

assert Message.idempotent is False and Message.__struct_fields__ == ()
assert Price.idempotent is True and Price.at_most_once is False
assert Price.__struct_fields__ == ("of", "since")
"""


@pytest.mark.processes
@pytest.mark.parametrize("postponed", [True, False], ids=["postponed", "not postponed"])
def test_with_lazy_imports(postponed):
    """A ClassVar stays a word about the class, also of a user's class, whether its annotations are postponed or not."""
    text = POSTPONED if postponed else POSTPONED.replace("from __future__ import annotations", "")
    lazy = ("-X", "lazy_imports=all") if sys.version_info >= (3, 15) else ()
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, *lazy, "-c", text], cwd=root, check=True, timeout=DEADLINE)


@pytest.mark.parametrize(
    ("name", "message", "why"),
    [
        (5, Count, r"the name of a topic is a text, as Topic\('prices', Price\); it is 5"),
        ("prices", Count("a"), "topic 'prices' is for a message class, as Price; it is Count"),
        ("prices", int, "topic 'prices' is for a message class, as Price; it is <class 'int'>"),
    ],
)
def test_topics_that_are_none(name, message, why):
    """A topic needs a text and a message class."""
    with pytest.raises(UsageError, match=why):
        Topic(name, message)
