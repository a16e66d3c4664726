"""Two message classes of one name: "does not handle Tick; it handles Tick" would help nobody."""

from __future__ import annotations

from types import new_class

import pytest

from actors import Actor, Message, Topic, UsageError, handles
from actors.protocol.protocol import protocol_of, published


class Tick(Message[None]):
    pass


class Clock(Actor):
    @handles
    def tick(self, msg: Tick) -> None:
        pass


def twin(module: str) -> type[Message[None]]:
    """A message class of the same name in another module."""
    return new_class("Tick", (Message[None],), exec_body=lambda body: body.update(__module__=module))


def test_of_the_main_module_that_was_imported_a_second_time() -> None:
    with pytest.raises(UsageError) as refused:
        protocol_of(Clock).encode(twin("__main__")())
    assert str(refused.value) == (
        f"Clock handles the Tick of module {__name__}, not that of __main__: what the program's own file defines is "
        "there a second time where another module imports that file. Move the message into a module that both import"
    )


def test_of_another_module() -> None:
    with pytest.raises(UsageError, match=r"Clock handles the Tick of module .*, not that of shop; import that one"):
        protocol_of(Clock).encode(twin("shop")())


def test_of_a_module_that_was_loaded_twice() -> None:
    with pytest.raises(UsageError, match="Clock handles another Tick than this: its module was loaded twice"):
        protocol_of(Clock).encode(twin(__name__)())


def test_of_a_topic() -> None:
    with pytest.raises(UsageError, match=r"topic 'ticks' is for the Tick of module .*, not that of shop"):
        published(Topic("ticks", Tick), twin("shop")())  # type: ignore[arg-type]
