"""Lazy: modules that are imported when they are first used, for what few programs need.

As `lazy import` of CPython 3.15. The import that type checkers and packagers see stands beside it, under TYPE_CHECKING.
What is on the way of a message is never lazy: its first use would wait for the import.

From 3.14 on, a spawned process does so with what multiprocessing and msgspec import there and an idle actor never uses,
before it imports the first module of this project. A process in which a tool runs a thread is left alone. It is sent as
text: a module of this package cannot be imported before msgspec.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Final


class LazyModule:
    """A module, imported when something of it is first used; pickled, where it arrives.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    def __getattr__(self, name: str) -> Any:
        if self._module is None:
            self._module = import_module(self._name)
        return getattr(self._module, name)

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return import_module, (self._name,)


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


_MODE: Final = "lazy_imports"
"""The name in `__main__` under which a process that begins with lazy imports (3.15) keeps the mode to go on in."""

_LAZILY: Final = (
    f"import sys; {_MODE} = sys.get_lazy_imports(); len(sys._current_frames()) == 1 and sys.set_lazy_imports('all'); "
)
"""From 3.15 on; `MainFunction` ends it, before any other module is imported."""

_STANDING_IN: Final = (
    "import sys; unused = ['subprocess', 'json', 'base64', 'runpy'] * (len(sys._current_frames()) == 1); "
    "real = lambda module, name: getattr(__import__(module.__name__), name); "
    "later = lambda module, name: lambda *args, **named: real(module, name)(*args, **named); "
    "now = lambda module, name: (later if sys.modules.get(module.__name__) is module else real)(module, name); "
    "StandIn = type('StandIn', (type(sys),), {'__getattr__': now}); "
    "sys.modules.update((name, StandIn(name)) for name in unused if name not in sys.modules); "
    "import multiprocessing.spawn, multiprocessing.resource_tracker; "
    "[sys.modules.pop(name) for name in unused if type(sys.modules[name]) is StandIn]; "
)
"""In 3.14, where there are no lazy imports. While multiprocessing is imported, what it takes from these modules are
functions that import them when they are called. `subprocess` alone brings `locale` and `selectors`."""

OPENING: Final = _LAZILY if sys.version_info >= (3, 15) else _STANDING_IN if sys.version_info >= (3, 14) else ""
"""Stands before multiprocessing's own line, in one line with that, as `ps` shows it."""

_IMPORT_ANNOTATIONLIB: Final = """
def import_annotationlib():
    def get(name):
        if sys.modules.get("ast") is stand_in:
            made.append(type(name, (), {}))
            return made[-1]
        ast = import_module("ast")
        for cell in cells:
            cell.cell_contents = getattr(ast, type(cell.cell_contents).__name__)()
        annotationlib._ExtraNameFixer.__bases__ = (ast.NodeTransformer,)
        annotationlib.ast = ast
        return getattr(ast, name)

    made = []
    sys.modules["ast"] = stand_in = type(sys)("ast")
    stand_in.__getattr__ = get
    try:
        import annotationlib
        closures = [getattr(method, "__closure__", None) or () for method in vars(annotationlib._Stringifier).values()]
        cells = [cell for closure in closures for cell in closure if type(cell.cell_contents) in made]
        known = [*(type(cell.cell_contents) for cell in cells), *annotationlib._ExtraNameFixer.__bases__]
        if made != known:
            raise ImportError
    except Exception:
        sys.modules.pop("annotationlib", None)
    finally:
        del sys.modules["ast"]

if (3, 14) <= sys.version_info < (3, 16) and {"ast", "annotationlib"}.isdisjoint(sys.modules):
    import_annotationlib()
"""
"""Imports `annotationlib`, which msgspec imports, without `ast`, which that uses for annotations with unknown names and
for those as text. Its import takes operators from `ast`, each for the closure of one method, and a class to derive one
from: empty ones stand for them until it uses `ast`, when all are replaced by the real ones. Where it takes anything
else, it is imported as ever."""

_IMPORT_MSGSPEC: Final = """
if "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None
    try:
        import msgspec
    finally:
        del sys.modules["typing_extensions"]
"""
"""msgspec takes from `typing_extensions`, where that is installed, what `typing` has as well from Python 3.11 on, and
with it come `inspect` and `dis`: a tenth of an actor's memory. An actor that needs `typing_extensions` imports it as
ever."""

_END_LAZY_IMPORTS: Final = f"""
if vars(sys.modules["__main__"]).pop({_MODE!r}, "") == "normal":
    for name in ("multiprocessing.util", "multiprocessing.context", "msgspec.json", "msgspec.structs"):
        import_module(name)
    sys.set_lazy_imports("normal")
"""

_ALONE: Final = _IMPORT_ANNOTATIONLIB + _IMPORT_MSGSPEC
_PROGRAM: Final = """
import gc
import sys
young, *old = gc.get_threshold()
gc.set_threshold(young, 10 ** 6, 10 ** 6)
try:
    if len(sys._current_frames()) == 1:
        exec(alone)
    exec(normal)
    main = import_module(module).main
finally:
    gc.freeze()
    gc.set_threshold(young, *old)
"""
"""The garbage collector looks at young objects alone while this imports: at all of them it would spend an eighth of a
start on 3.14. What is imported stays, so later collections leave it out."""


class MainFunction:
    """The function `main` of a module; pickled as what finds it, behind a light import of msgspec.

    Args:
        module: its name; who pickles this does not import it.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __reduce__(self) -> tuple[Any, ...]:
        names: dict[str, Any] = {"light": _PROGRAM, "alone": _ALONE, "normal": _END_LAZY_IMPORTS}
        names |= {"import_module": import_module, "module": self._module}
        return eval, ("(exec(light), main)[1]", names)
