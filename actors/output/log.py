"""ActorLog: an actor's log lines leave as records and appear in the daemon's log.

Logging needs no library in the actor's process. Formats and files are the daemon's configuration.

Runs in the actor's process, on any of its threads.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Final

from actors.ipc.output_pipe import OutputPipe
from actors.process.traceback_text import traced

_LEAST: Final = -(2**63)  # the range of a record's integers
_MAX: Final = 2**64 - 1


class ActorLog:
    """structlog's calling style, without structlog: `log.info("file.parsed", path=path)`."""

    __slots__ = ("_output_pipe",)

    def __init__(self, output_pipe: OutputPipe) -> None:
        self._output_pipe = output_pipe

    def debug(self, event: str, **fields: object) -> None:
        """Log at level debug: details."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log at level info: normal operation."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log at level warning: something unexpected."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log at level error: something failed."""
        self._write("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log at level error with the traceback of the exception being handled."""
        error = sys.exception()
        trace = "NoneType: None" if error is None else traced(error, error.__traceback__)
        self._write("error", event, {**fields, "traceback": trace})

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        self._output_pipe.say(level, utf8(event), plain_fields(fields))


def plain_fields(fields: Mapping[str, object]) -> dict[str, str | int | float | bool | None]:
    """Fields as plain values that a record can carry. Never raises."""
    return {utf8(name): _plain(value) for name, value in fields.items()}


def utf8(text: object) -> str:
    """The text with what UTF-8 cannot encode escaped."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> str | int | float | bool | None:
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, int) and _LEAST <= value <= _MAX:
        return int.__int__(value)  # of a subclass, too: a record has plain values
    if isinstance(value, float) and math.isfinite(value):
        return float.__float__(value)
    try:
        return utf8(repr(value))
    except Exception:  # a user's __repr__ may raise anything
        return f"<{type(value).__qualname__} without a repr>"
