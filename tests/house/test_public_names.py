"""`__all__` lists the public names: each can be imported and has a docstring."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys

import msgspec
import pytest

FIXED = {
    "actors": {"Actor", "Message", "Rejected", "handles", "ActorRef", "ExitReason"},
    "supervisor": {
        "Supervisor",
        "SupervisorSpec",
        "ChildSpec",
        "Strategy",
        "RestartPolicy",
        "Intensity",
        "Backoff",
    },
    "supervisor.bridge": {"AsyncQueueBridge", "AsyncEvent", "await_event"},
}


@pytest.mark.parametrize("name", FIXED)
def test_every_public_name_is_there(name: str) -> None:
    """Every name in `__all__` can be imported, and the names that users rely on are in it."""
    module = importlib.import_module(name)
    assert set(module.__all__) >= FIXED[name]
    assert [] == [public for public in module.__all__ if not hasattr(module, public)]


@pytest.mark.parametrize("name", ["actors", "supervisor", "supervisor.bridge"])
def test_every_public_name_has_a_docstring(name: str) -> None:
    """Each public class and function has one, and so has each of its public methods."""
    module = importlib.import_module(name)
    silent = []
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            members = vars(thing).items() if inspect.isclass(thing) else ()
            silent += [public] if not inspect.getdoc(thing) else []
            silent += [
                f"{public}.{member}"
                for member, value in members
                if inspect.isfunction(value) and not member.startswith("_") and not inspect.getdoc(value)
            ]
    assert [] == silent


@pytest.mark.parametrize("name", ["actors", "supervisor", "supervisor.store", "supervisor.testing"])
def test_every_field_of_a_public_value_is_described(name: str) -> None:
    """In its docstring, or in that of the class that it extends."""
    module = importlib.import_module(name)
    silent = [
        f"{public}.{field}"
        for public in module.__all__
        if isinstance(thing := getattr(module, public), msgspec.StructMeta)
        for field in thing.__struct_fields__
        if not re.search(rf"\b{field}\b", " ".join(base.__doc__ or "" for base in thing.__mro__))
    ]
    assert [] == silent


@pytest.mark.parametrize("name", ["supervisor", "supervisor.specs", "supervisor.store", "actors.queue"])
def test_a_name_that_is_imported_when_it_is_first_used(name: str) -> None:
    """`dir` lists it before, `import *` brings it, and another name is an AttributeError as of any module."""
    module = importlib.import_module(name)
    assert set(module.__all__) <= {*dir(module)}
    everything: dict[str, object] = {}
    exec(f"from {name} import *", everything)
    assert set(module.__all__) <= everything.keys()
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Nothing'"):
        _ = module.Nothing


@pytest.mark.parametrize(
    ("package", "modules"),
    [("supervisor", ["bridge", "cluster", "metrics", "store", "testing", "tracing"]), ("actors", ["testing"])],
)
def test_a_public_module_is_an_attribute_of_its_package(package: str, modules: list[str]) -> None:
    """After `import supervisor` alone, which has not imported it."""
    code = f"import {package}; print(*(getattr({package}, name).__name__ for name in {modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [f"{package}.{name}" for name in modules] == done.stdout.split()
