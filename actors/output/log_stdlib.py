"""RelayHandler: what an actor logs through the standard library leaves as records.

Levels and filters stay as the actor set them; no line is sent twice.

Runs in the actor's process, on any of its threads.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

from actors.ipc.output_pipe import OutputPipe
from actors.output.log import plain_fields, utf8

_LEVELS: Final = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


_WRAPPED: Final = "__wrapped__"
_TAKEN: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


class RelayHandler(logging.Handler):
    """Sends the message as the event, with the logger's name and the traceback."""

    def __init__(self, output_pipe: OutputPipe, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._output_pipe = output_pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; a record that cannot be formatted is reported as `logging` does it."""
        try:
            given = {name: value for name, value in vars(record).items() if name not in _TAKEN}
            fields = {"logger": record.name, **given}
            if record.exc_info and record.exc_info[0] is not None:
                fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
            if record.stack_info:
                fields["stack"] = record.stack_info
            self._output_pipe.say(level_name(record.levelno), utf8(record.getMessage()), plain_fields(fields))
        except Exception:
            self.handleError(record)


def level_name(number: int) -> str:
    """The level of a record with this number: the highest known one that is not above it."""
    return next((name for least, name in _LEVELS if number >= least), "debug")


def relay_logging(output_pipe: OutputPipe, level: int | None = None) -> None:
    """Make every handler that prints to this process's own streams send records instead, and the last resort, too.

    No handler is added, so a later `logging.basicConfig` works as documented; the handlers it adds are relayed as
    well, since `logging.error(...)` itself calls it. May be called again.

    Args:
        output_pipe: where the records go.
        level: of the root logger, where the actor has set none; None leaves it.
    """
    if level is not None and logging.root.level == logging.WARNING:  # the default without a configuration
        logging.root.setLevel(level)
    if not hasattr(logging.basicConfig, _WRAPPED):
        logging.basicConfig = _then_relayed(logging.basicConfig, output_pipe)
    if logging.lastResort is not None and not isinstance(logging.lastResort, RelayHandler):
        logging.lastResort = RelayHandler(
            output_pipe
        )  # takes what the loggers' levels let through: warnings, by default
    known = list(logging.root.manager.loggerDict.values())  # at once: other threads may make loggers meanwhile
    for logger in (logging.root, *(one for one in known if isinstance(one, logging.Logger))):
        for handler in logger.handlers[:]:
            if type(handler) is logging.StreamHandler and handler.stream in _own_streams():
                logger.addHandler(_instead_of(handler, output_pipe))
                logger.removeHandler(handler)


def _then_relayed(configure: Callable[..., None], output_pipe: OutputPipe) -> Callable[..., None]:
    def basic_config(**options: Any) -> None:
        configure(**options)
        relay_logging(output_pipe)

    setattr(basic_config, _WRAPPED, configure)
    return basic_config


def _own_streams() -> tuple[Any, ...]:
    return sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__


def _instead_of(handler: logging.Handler, output_pipe: OutputPipe) -> RelayHandler:
    relay = RelayHandler(output_pipe, handler.level)
    for one in handler.filters:
        relay.addFilter(one)
    return relay
