"""An actor that sends what no ref lets through, and one that gets it."""

from __future__ import annotations

import msgspec

from actors import Actor, Message, UsageError, handles
from actors.wire.codec import encode
from actors.wire.from_child import Send
from actors.wire.kinds import TELL
from tests.support.inside import channel_of


class Text(Message[str]):
    text: str


class Forge(Message[None]):
    """Send these bytes as a message to the reader."""

    data: bytes


class Wrong(Message[str]):
    """Send a message whose field has the wrong type, in one of the ways there are."""

    way: str


class Strange(Message[str]):
    """The reader does not handle it."""


class Reader(Actor):
    @handles
    def read(self, msg: Text) -> str:
        return msg.text


class Forger(Actor):
    on_error = "reply"

    @handles
    async def forge(self, msg: Forge) -> None:
        frame = Send("/root/reader", TELL, 0, None, 0.0, False, False, msgspec.Raw(msg.data))
        channel_of(self).send(encode(frame))

    @handles
    async def wrong(self, msg: Wrong) -> str:
        reader, bad = self.context.actor("reader"), Text(7)  # type: ignore[arg-type]  # on purpose
        try:
            match msg.way:
                case "ask":
                    await reader.ask(bad)
                case "tell":
                    await reader.tell(bad)
                case "tell_nowait":
                    reader.tell_nowait(bad)
                case "many":
                    await reader.ask_many([Text("x"), bad])
                case "strange":
                    await reader.ask(Strange())
                case "strange asks":
                    await reader.ask_many([*[Text("x")] * 1500, Strange()])  # type: ignore[list-item]  # on purpose
                case "strange tells":
                    await reader.tell_many([*[Text("x")] * 1500, Strange()])
                case "lost":
                    reader.tell_nowait(Strange())
                    self.context.actor("nobody").tell_nowait(Strange())
        except UsageError as error:
            return str(error)
        return "sent"
