"""Pickling: how what is not a message is pickled: arguments, the items of a queue, and what a spawned process runs.

Runs in any process.
"""

from __future__ import annotations

import io
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from typing import Any, Final

PROTOCOL: Final = 5
"""Of every pickle: the default of CPython 3.14, named so that 3.11 to 3.13 do the same. It decides in which form a
value arrives: a numpy array that was read-only stays so under 5, and is writable under 4, the older default."""

_IMPORT_MSGSPEC: Final = """
import sys
if "typing_extensions" not in sys.modules and len(sys._current_frames()) == 1:
    sys.modules["typing_extensions"] = None
    try:
        import msgspec
    finally:
        del sys.modules["typing_extensions"]
"""
"""Runs in a process before any module of this project. msgspec takes from `typing_extensions`, where that is installed,
what `typing` has as well from Python 3.11 on, and with it come `inspect` and `dis`: a tenth of an actor's memory. An
actor that needs `typing_extensions` imports it as ever. Where a tool runs a thread in the process, it is left alone."""


class MainFunction:
    """The function `main` of a module; pickled as what finds it, behind a light import of msgspec.

    Args:
        module: its name; who pickles this does not import it.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        names = {"light": _IMPORT_MSGSPEC, "import_module": import_module, "module": self._module}
        return eval, ("(exec(light), import_module(module).main)[1]", names)


def pickled(value: Any) -> bytes:
    """The pickle of a value as multiprocessing makes it, so that its own objects may travel, too."""
    buffer = io.BytesIO()
    ForkingPickler(buffer, PROTOCOL).dump(value)
    return buffer.getvalue()  # the buffer's own bytes, not a copy
