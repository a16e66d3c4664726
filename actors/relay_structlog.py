"""What an actor logs through structlog leaves as records.

Law: a configuration of the actor's own is never touched; then its lines come as the text it prints.
May import: relay, voice. Imports `structlog`: only an actor that has imported it pays.

Runs in the actor's process, on any of its threads.
"""

from __future__ import annotations

from typing import Any, NoReturn

import structlog

from actors.relay import plain_fields, utf8
from actors.voice import Voice


def relay_structlog(voice: Voice) -> None:
    """Send events, fields and levels as records, unless structlog is configured. May be called again."""
    if structlog.is_configured():
        return

    def send(logger: object, method: str, said: Any) -> NoReturn:
        del logger
        if (trace := said.pop("exception", None)) is not None:
            said["traceback"] = trace
        voice.say(method, utf8(said.pop("event", "")), plain_fields(said))
        raise structlog.DropEvent

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            send,
        ]
    )
