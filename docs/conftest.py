"""The code of each page is run: `pytest docs`.

A block of Python whose first line is a file's name, `# counter.py`, is a program: it is written into the page's own
temporary folder. A block of `console` shows commands after `$`; those that run such a program, or its tests, are run
there, and print what the page says; `...` stands for anything. Other Python is a part of a program: it compiles, and
what it imports from the project is there.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTEST_PLUGINS": "actors.pytest_plugin"}
DEADLINE = 60.0  # seconds for one command
FILE = re.compile(r"# ([\w/]+\.py)\n")
SETTINGS = re.compile(r"# ([\w/]+\.ini)\n")
OURS = ("actors", "supervisor")


class Python(CodeBlockParser):
    """Blocks of Python."""

    language = "python"

    def evaluate(self, example: Example) -> str | None:
        """A program is written, a part of one is compiled."""
        code = str(example.parsed)
        if name := FILE.match(code):
            path = Path(example.namespace["folder"].name, name.group(1))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code)
        tree = ast.parse(code)
        compile(tree, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        missing = [each for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in missing_names(node)]
        return f"does not exist: {', '.join(missing)}" if missing else None


def missing_names(node: ast.ImportFrom) -> list[str]:
    """What is imported from the project and is not there."""
    if node.level or node.module is None or node.module.partition(".")[0] not in OURS:
        return []
    module = importlib.import_module(node.module)
    return [f"{node.module}.{alias.name}" for alias in node.names if not hasattr(module, alias.name)]


class Settings(CodeBlockParser):
    """Blocks of settings, which are files, too."""

    language = "ini"

    def evaluate(self, example: Example) -> str | None:
        """It is written."""
        if name := SETTINGS.match(example.parsed):
            Path(example.namespace["folder"].name, name.group(1)).write_text(example.parsed)
        return None


class Console(CodeBlockParser):
    """Blocks with commands."""

    language = "console"

    def evaluate(self, example: Example) -> str | None:
        """Each command that runs a file of the page prints what stands below it."""
        folder = Path(example.namespace["folder"].name)
        for command, expected in commands(str(example.parsed)):
            plain, quiet, _ = command.partition(" 2>/dev/null")
            words = shlex.split(plain)
            if words[0] not in ("python", "pytest") or not any((folder / word).exists() for word in words[1:]):
                continue
            start = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "pytest"]
            run = subprocess.run(
                [*start, *words[1:]],
                cwd=folder,
                env={**os.environ, **ENVIRONMENT},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if quiet else subprocess.STDOUT,
                text=True,
                timeout=DEADLINE,
                check=False,
            )
            if not as_printed(expected, run.stdout):
                return f"{command}\nprints:\n{run.stdout}\nthe page says:\n{expected}"
        return None


def commands(text: str) -> list[tuple[str, str]]:
    """Commands, and what each prints."""
    _, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    return [(command, printed) for command, _, printed in (part.partition("\n") for part in parts)]


def as_printed(expected: str, printed: str) -> bool:
    """Whether it is what the page says, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def own_folder(namespace: dict[str, Any]) -> None:
    """Each page has a folder of its own."""
    namespace["folder"] = tempfile.TemporaryDirectory()


def forget_folder(namespace: dict[str, Any]) -> None:
    """It goes with the page."""
    namespace["folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[Python(), Settings(), Console()], patterns=["*.md", "**/*.md"], setup=own_folder, teardown=forget_folder
).pytest()
