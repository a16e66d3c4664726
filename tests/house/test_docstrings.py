"""A public docstring says what its reader cannot see: units, what is raised, in which process and thread it runs."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import actors.errors
import supervisor.errors

PACKAGES = [
    *("actors", "actors.testing"),
    *("supervisor", "supervisor.bridge", "supervisor.metrics", "supervisor.store", "supervisor.testing"),
]
A_TIME = re.compile(r"(^|_)(timeout|delay|period|grace|age|seconds|interval|within)(_|$)")
ERRORS = {
    name
    for module in (actors.errors, supervisor.errors)
    for name, thing in vars(module).items()
    if isinstance(thing, type) and issubclass(thing, Exception) and thing.__module__ == module.__name__
}
VALUES = (msgspec.Struct, enum.Enum, BaseException)


def public(package: str) -> Iterator[tuple[str, Any]]:
    module = pytest.importorskip(package, exc_type=ImportError)  # an extra may be missing
    return ((name, getattr(module, name)) for name in module.__all__)


def functions(package: str) -> Iterator[tuple[str, Any, str]]:
    """Each public function and method, also `__init__`, with its docstring and that of its class."""
    for name, thing in public(package):
        members = vars(thing) if isinstance(thing, type) else {name: thing}
        for member, value in members.items():
            function = inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value)))
            own = not member.startswith("_") or member in {"__init__", "__post_init__"}
            if inspect.isfunction(function) and own and inspect.getsourcefile(function) is not None:
                doc = inspect.getdoc(function) or ""
                if member.startswith("__"):
                    doc += inspect.getdoc(thing) or ""
                yield (name if thing is value else f"{name}.{member}"), function, doc


def written(function: Any) -> bool:
    """Whether its source is in a file: a dataclass's `__init__` is not."""
    return function.__code__.co_filename == inspect.getsourcefile(function) and "<" not in function.__code__.co_filename


@pytest.mark.parametrize("package", PACKAGES)
def test_a_time_has_its_unit(package):
    """What takes a time says that it is in seconds; where a port says it, its implementation points there."""
    silent = [
        name
        for name, function, doc in functions(package)
        if any(A_TIME.search(word) for word in inspect.signature(function).parameters)
        and not re.search(r"\bseconds?\b|\d s\b|See `", doc)
    ]
    assert [] == silent


@pytest.mark.parametrize("package", PACKAGES)
def test_an_error_that_is_raised_is_named(package):
    """What the body of a public function raises of ours stands in its docstring, or in that of its class."""
    silent = []
    for name, function, doc in functions(package):
        if not written(function):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        raised = {
            node.exc.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
        }
        silent += [f"{name}: {error}" for error in sorted(raised & ERRORS) if error not in doc]
    assert [] == silent


@pytest.mark.parametrize("package", PACKAGES)
def test_what_runs_says_where(package):
    """A class or a function that is no value says in which process, thread or loop it runs; or its module does."""
    silent = []
    for name, thing in public(package):
        if not (inspect.isclass(thing) or inspect.isfunction(thing)) or dataclasses.is_dataclass(thing):
            continue
        if inspect.isclass(thing) and issubclass(thing, VALUES):
            continue
        text = f"{inspect.getdoc(thing)} {importlib.import_module(thing.__module__).__doc__}"
        if not re.search(
            r"\bthreads?\b|\bprocess(es)?\b|\bevent loop\b|\bthe loop\b|\bdaemon\b|\bRuns \w+|\bpure\b",
            text,
            re.IGNORECASE,
        ):
            silent.append(name)
    assert [] == silent
