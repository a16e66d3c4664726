"""A page that says what to install names all that its programs import."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROGRAM = re.compile(r"^```python\n(# ([\w/]+)\.py\n.*?)^```", re.MULTILINE | re.DOTALL)
INSTALLS = re.compile(r"pip install ([^`\n]+)")
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "pip install" in page.read_text()]
OURS = {"actors", "supervisor"}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(text: str) -> set[str]:
    """The modules from elsewhere that the page's complete programs import."""
    programs = PROGRAM.findall(text)
    known = OURS | set(sys.stdlib_module_names) | {name.partition("/")[0] for _, name in programs}
    names = {name for code, _ in programs for name in imports_of(code)}
    return {name for name in names if name.partition(".")[0] not in known}


def imports_of(code: str) -> set[str]:
    """The modules that a block imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


distributions = functools.cache(metadata.packages_distributions)  # it reads the records of all that is installed


@functools.cache
def files_of(name: str) -> set[str]:
    """What a distribution has installed."""
    return {str(file) for file in metadata.files(name) or ()}


@functools.cache
def package(module: str) -> str:
    """The distribution that has the module; several may share its first name."""
    path = module.replace(".", "/")
    for name in distributions()[module.partition(".")[0]]:
        if {f"{path}.py", f"{path}/__init__.py"} & files_of(name):
            return name
    return module


def installed(text: str) -> set[str]:
    """What the page's commands bring, extras taken apart."""
    requirements = list(PROJECT["dependencies"])
    for words in INSTALLS.findall(text):
        for extras in re.findall(r"\[([\w,]+)\]", words):
            requirements += [each for extra in extras.split(",") for each in PROJECT["optional-dependencies"][extra]]
        requirements += re.sub(r"['\"]?[\w.-]*\[[\w,]+\]['\"]?", "", words).split()
    return {canonical(re.split(r"[<>=\[]", requirement)[0]) for requirement in requirements}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_its_programs_import_is_installed(page):
    text = page.read_text()
    packages = {canonical(package(module)) for module in imported(text) if module != "opentelemetry"}  # a namespace
    assert packages <= installed(text)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_what_its_blocks_import_is_installed(page):
    """Pieces of programs, too; the modules of the reader's own are of no distribution here."""
    text = page.read_text()
    modules = {module for code in BLOCK.findall(text) for module in imports_of(code)}
    theirs = distributions().keys() - OURS - {"opentelemetry"}
    packages = {canonical(package(module)) for module in modules if module.partition(".")[0] in theirs}
    assert packages <= installed(text)
