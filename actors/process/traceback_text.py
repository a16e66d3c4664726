"""Traceback text: an exception's traceback as Python prints it.

The modules that format tracebacks are imported only when needed; where they fail, the text lists files and lines
only.

Runs in the actor's process, on any of its threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from actors.exits import exception_name


def traced(error: BaseException, trace: TracebackType | None) -> str:
    """The traceback of an error from `trace` on, chained errors included.

    A process without a free descriptor or memory may not be able to import `traceback`, and a class whose metaclass
    raises cannot be formatted: then without source lines.
    """
    chain = not isinstance(error, MemoryError)  # often raised again while its own traceback is made
    try:
        import traceback  # noqa: PLC0415 - on 3.14 it brings inspect and more, and most lives never fail

        return "".join(traceback.format_exception(type(error), error, trace, chain=chain))
    except Exception:
        return "".join(["Traceback (places only):\n", *_places(trace), f"{exception_name(type(error))}\n"])


def _places(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n'
        trace = trace.tb_next
