"""Logs: where the daemon's log lines go: to structlog where the application has configured it, else to `logging`.

The application's configuration is used and never changed. No logger is made for an actor, since names come and go.

Runs on the loop's thread. In `logging`, lines of the tree belong to `supervisor`, an actor's to
`supervisor.actor.root.name`. The message of a record is one line, or what the actor itself wrote. A traceback is where
`logging` keeps its own, so every formatter shows it; the fields of a line are attributes of its record, as with
`extra=`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from actors.wire.log_lines import PRINTED

TREE: Final = "supervisor"
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_ACTOR: Final = "supervisor.actor"
_TAKEN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_BELOW: Final = {"native_stack": "", "stacks": "", "stack": "", "stderr": "it wrote last:\n"}  # what is said above each
_APART: Final = frozenset({"traceback", *_BELOW})
UNSEEN: Final = "output.unseen"
_UNSEEN: Final = (
    "what actors print goes to this program's log at level info, and nothing shows that level: "
    "logging.basicConfig(level=logging.INFO) does. This is said once"
)
_UNBOUND: Final = {"event": "event_", "self": "self_"}  # names that structlog's methods cannot take


def actor_logger(path: str) -> str:
    """The name of an actor's logger."""
    return f"{_ACTOR}{path.replace('/', '.')}"


def level_of(name: str) -> int:
    """The number of the lowest level that a logger of that name accepts."""
    return _nearest(name).getEffectiveLevel()


def shows(name: str, level: str) -> bool:
    """Whether a line of that level may be seen, so that it is worth making one."""
    return _configured() is not None or _nearest(name).isEnabledFor(LEVELS[level])


def write(name: str, level: str, event: str, fields: Mapping[str, object], line: str | None = None) -> None:
    """Write one line.

    Args:
        name: of the logger.
        level: name of the level, as structlog's methods.
        event: what happened.
        fields: the rest; when `logger` is among them, the event is a formatted message of `logging`.
        line: the message of the record in `logging`; None for the event with its fields.
    """
    log = _configured()
    if log is not None:
        bound = log.bind(**{_UNBOUND.get(key, key): value for key, value in fields.items()})
        getattr(bound, level)(event)
        return
    number, logger = LEVELS[level], _nearest(name)
    if logger.isEnabledFor(number):
        extra = {f"{key}_" if key in _TAKEN else key: value for key, value in fields.items()}
        text = _text(event, fields) if line is None else line
        record = logger.makeRecord(name, number, TREE, 0, text, (), None, "", {**extra, "event": event})
        record.exc_text = str(fields["traceback"]).rstrip() if fields.get("traceback") else None
        record.stack_info = (
            "\n".join(f"{above}{fields[key]}".rstrip() for key, above in _BELOW.items() if fields.get(key)) or None
        )
        logger.handle(record)
    elif event == PRINTED and not logger.hasHandlers():
        _say_that_prints_are_not_shown()


@cache
def _say_that_prints_are_not_shown() -> None:
    """Once in a program that configures nothing: what its actors print would vanish without a word."""
    write(TREE, "warning", UNSEEN, {}, _UNSEEN)


def _configured() -> Any | None:
    """The logger of structlog, None where the application has not configured it, as one that has not imported it."""
    if "structlog" not in sys.modules:
        return None
    import structlog  # noqa: PLC0415 - a start without it is shorter by a tenth

    return structlog.get_logger(TREE) if structlog.is_configured() else None


def _nearest(name: str) -> logging.Logger:
    """The logger of that name, or its nearest existing ancestor."""
    known = logging.Logger.manager.loggerDict
    while name:
        found = known.get(name)
        if found is not None and isinstance(found, logging.Logger):
            return found
        name = name.rpartition(".")[0]
    return logging.getLogger(TREE)


def _text(event: str, fields: Mapping[str, object]) -> str:
    """A line that a person can read, whatever fields the format shows."""
    if event == PRINTED:
        return str(fields.get("text", ""))
    if "logger" in fields:
        return event
    beside = [f" {key}={_shown(value)}" for key, value in fields.items() if key not in _APART]
    return "".join((event, *beside))


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) and (" " in value or not value) else str(value)
