"""Relays what an actor logs through structlog as records.

A configuration of the actor's own is left alone; then its lines arrive as the text it prints.

Runs in the actor's process, on any of its threads.
"""

from __future__ import annotations

from typing import Any, NoReturn

import structlog

from actors.ipc.output_pipe import OutputPipe
from actors.output.log import plain_fields, utf8


def relay_structlog(output_pipe: OutputPipe) -> None:
    """Send events, fields and levels as records, unless structlog is configured. May be called again."""
    if structlog.is_configured():
        return

    def send(logger: object, method: str, said: Any) -> NoReturn:
        del logger
        if (trace := said.pop("exception", None)) is not None:
            said["traceback"] = trace
        output_pipe.say(method, utf8(said.pop("event", "")), plain_fields(said))
        raise structlog.DropEvent

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            send,
        ]
    )
