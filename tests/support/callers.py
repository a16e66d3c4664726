"""An actor that asks wrongly, and one that it asks."""

from __future__ import annotations

from actors import Actor, Message, UsageError, handles
from tests.support.actors import Echo


class Try(Message[str]):
    what: str
    value: float


class Name(Message[str]):
    what: str
    path: bytes | None = None  # of Python's utf-8 with surrogatepass; None is a value that is no text


class Caller(Actor):
    """Makes a call from its own process, and says how it was refused."""

    @handles
    def name(self, msg: Name) -> str:
        """Gives a method of the context what is neither a name, a ref nor a topic."""
        given = 5 if msg.path is None else msg.path.decode("utf-8", "surrogatepass")
        try:
            getattr(self.context, msg.what)(*([given, msg] if msg.what == "publish" else [given]))
        except UsageError as error:
            return str(error)
        return "taken"

    @handles
    async def take(self, msg: Try) -> str:
        other = self.context.actor("a")
        calls = {
            "ask": lambda: other.ask(Echo("x"), timeout=msg.value),
            "tell": lambda: other.tell(Echo("x"), delay=msg.value),
        }
        try:
            if msg.what in calls:
                await calls[msg.what]()
            else:
                getattr(self.context, msg.what)(msg.value, *([msg] if msg.what != "extend" else []))
        except UsageError as error:
            return str(error)
        return "taken"


class Parse(Message[int]):
    text: str


class Parser(Actor):
    @handles
    def parse(self, msg: Parse) -> int:
        return int(msg.text)
