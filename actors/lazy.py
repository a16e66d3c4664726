"""Lazy: modules that are imported when they are first used, for what few programs need.

As `lazy import` of CPython 3.15. The import that type checkers and packagers see stands beside it, under TYPE_CHECKING.
What is on the way of a message is never lazy: its first use would wait for the import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any, Final


class LazyModule:
    """A module, imported when something of it is first used; pickled, where it arrives.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return import_module, (self._name,)


MODE: Final = "lazy_imports"
"""The name in `__main__` under which a process that begins with lazy imports (3.15) keeps the mode to go on in."""

_IMPORT_MSGSPEC: Final = f"""
import sys
if "typing_extensions" not in sys.modules and len(sys._current_frames()) == 1:
    sys.modules["typing_extensions"] = None
    try:
        import msgspec
    finally:
        del sys.modules["typing_extensions"]
if vars(sys.modules["__main__"]).pop({MODE!r}, "") == "normal":
    for name in ("multiprocessing.util", "multiprocessing.context", "msgspec.json", "msgspec.structs"):
        import_module(name)
    sys.set_lazy_imports("normal")
"""
"""Runs in a process before any module of this project, and ends its lazy imports, if it began with them. msgspec takes
from `typing_extensions`, where that is installed, what `typing` has as well from Python 3.11 on, and with it come
`inspect` and `dis`: a tenth of an actor's memory. An actor that needs `typing_extensions` imports it as ever. Where a
tool runs a thread in the process, it is left alone."""


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


def lazy_names(
    package: str, modules: Mapping[str, str], submodules: Collection[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package whose public names are partly imported when they are first used.

    Args:
        package: its `__name__`.
        modules: by public name, the module that has it.
        submodules: public modules of the package, which are imported when they are first used as attributes of it.
            `dir` does not list them: one of an extra cannot be imported where that is not installed.
    """
    namespace = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name in submodules:
            return import_module(f"{package}.{name}")
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = namespace[name] = getattr(import_module(modules[name]), name)
        return found

    return get, lambda: sorted({*namespace, *modules})
