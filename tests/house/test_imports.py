"""What the import contract does not check: pure modules load nothing impure, however indirectly; `actors` is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import LIBRARY

IMPURE = {
    "asyncio",
    "logging",
    "mmap",
    "multiprocessing",
    "random",
    "select",
    "selectors",
    "signal",
    "socket",
    "structlog",
    "subprocess",
    "threading",
    "time",
}
MODULES = sorted([*(LIBRARY / "actors").rglob("*.py"), *(LIBRARY / "supervisor").rglob("*.py")])
PURE = sorted([*(LIBRARY / "supervisor/core").rglob("*.py"), *(LIBRARY / "actors/wire").rglob("*.py")])
ALLOWED = {
    "supervisor.core.health.exit_reason": {"signal"},  # a table of names: signal.Signals
    "supervisor.core.health.causes": {"signal"},  # by exit_reason
    "supervisor.core.health.process_end": {"signal"},  # the number of SIGTERM
    "supervisor.core.health.task_end": {"signal"},  # by exit_reason
}

# The package roots are empty here: what a module loads is what it imports itself, and what that imports.
# Each module is imported in a fork, which is quicker than a process from nothing.
ALONE = """
import sys, types, importlib, os
for root in ("actors", "supervisor"):
    package = types.ModuleType(root)
    package.__path__ = [sys.argv[1] + "/" + root]
    sys.modules[root] = package
import enum, msgspec, collections.abc, typing, traceback
before = set(sys.modules)
for name in sys.argv[2:]:
    if pid := os.fork():
        assert 0 == os.waitpid(pid, 0)[1], name
    else:
        importlib.import_module(name)
        print(name, *(set(sys.modules) - before), flush=True)
        os._exit(0)
"""


def named(path: Path) -> str:
    return str(path.relative_to(LIBRARY))


def dotted(path: Path) -> str:
    return named(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def printed(*code: str) -> str:
    done = subprocess.run([sys.executable, "-c", *code], capture_output=True, text=True, check=True, cwd=LIBRARY)
    return done.stdout


def roots(modules: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_pure_modules_load_nothing_impure() -> None:
    """Through all imports: no clock, no random numbers, no operating system, no event loop."""
    lines = printed(ALONE, str(LIBRARY), *map(dotted, PURE)).splitlines()
    loaded = {name: roots(modules) for name, *modules in map(str.split, lines)}
    assert set(map(dotted, PURE)) == loaded.keys()
    impure = {name: modules & IMPURE - ALLOWED.get(name, set()) for name, modules in loaded.items()}
    assert {} == {name: modules for name, modules in impure.items() if modules}


def imported(module: Path) -> set[str]:
    """The roots of what a module itself imports."""
    tree = ast.parse(module.read_text())
    plain = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = [alias.name for node in plain for alias in node.names]
    return roots([*names, *(node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))])


def test_pure_modules_import_nothing_impure_themselves() -> None:
    """Nor modules that Python loads anyway, as `time` and `os`."""
    itself = {dotted(module): imported(module) & (IMPURE | {"os", "sys"}) for module in PURE}
    impure = {name: modules - ALLOWED.get(name, set()) for name, modules in itself.items()}
    assert {} == {name: modules for name, modules in impure.items() if modules}


def silent(module: Path) -> list[int]:
    """The lines of a module's imports inside functions that do not say why."""
    text = module.read_text()
    late = [
        node
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return [node.lineno for node in late if "PLC0415 - " not in text.splitlines()[node.lineno - 1]]


def test_imports_are_at_the_top_unless_they_say_why() -> None:
    """An import inside a function carries its reason on its line."""
    assert [] == [f"{named(module)}:{line}" for module in MODULES for line in silent(module)]


def test_importing_actors_is_cheap() -> None:
    """A child that imports `actors` loads neither asyncio nor structlog nor the supervisor."""
    found = roots(printed("import sys, actors; print(*sorted(sys.modules))").split())
    assert set() == found & {"asyncio", "structlog", "supervisor", "concurrent", "logging", "ctypes"}


LAZY = [module for module in MODULES if "LazyModule(" in module.read_text() or "lazy_names(" in module.read_text()]


def imported_for_types(tree: ast.Module) -> set[str]:
    """What a module imports under TYPE_CHECKING: dotted names of modules, and of what it takes from them."""
    found = set()
    for block in [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]:
        for node in block.body:
            if isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("module", LAZY, ids=named)
def test_what_is_lazy_is_imported_for_types(module: Path) -> None:
    """Type checkers, packagers and the import contract see the import that runs later, and it is the same one."""
    tree = ast.parse(module.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    lazy = {
        ast.literal_eval(call.args[0])
        for call in calls
        if call.func.id == "LazyModule" and isinstance(call.args[0], ast.Constant)
    }
    for call in calls:
        if call.func.id == "lazy_names":
            lazy |= {f"{origin}.{name}" for name, origin in ast.literal_eval(call.args[1]).items()}
    assert set() == lazy - imported_for_types(tree)
