"""RelayLog: an actor's log lines leave as records and appear in the daemon's log.

Law: logging needs no library in the actor's process and decides nothing about levels, formats or files: the daemon's
     configuration does.
May import: envelope, codec.

Runs in the actor's process, on any of its threads.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from actors.codec import encode
from actors.envelope import Record


class RelayLog:
    """structlog's calling style, without structlog: `log.info("file.parsed", path=path)`."""

    __slots__ = ("_send",)

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def debug(self, event: str, **fields: object) -> None:
        """A line for those who look closely."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """A line about the normal course."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """A line about something odd."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """A line about something wrong."""
        self._write("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """A line about something wrong, with the traceback of the exception being handled."""
        self._write("error", event, {**fields, "traceback": traceback.format_exc()})

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        plain = {
            name: value if isinstance(value, str | int | float | bool | None) else repr(value)
            for name, value in fields.items()
        }
        self._send(encode(Record(level, event, plain)))
