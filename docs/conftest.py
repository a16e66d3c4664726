"""The code of each page is run: `pytest docs`.

A block of Python, or of settings (`ini`), whose first line is a file's name, `# counter.py`, is a file: it is written
into the page's own temporary folder. A block of `console` shows commands after `$`; those that run such a file are run
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
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "PYTEST_ADDOPTS": "",  # those of the suite would change what is printed
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # each run would import all that there are
    "PYTEST_PLUGINS": "actors.pytest_plugin,pytest_asyncio.plugin",
}
DEADLINE = 60.0  # seconds for one command
FILE = re.compile(r"^```(?:python|ini)\n(# ([\w/]+\.(?:py|ini))\n.*?)^```", re.MULTILINE | re.DOTALL)
OURS = ("actors", "supervisor")


class Python(CodeBlockParser):
    """Blocks of Python."""

    language = "python"

    def evaluate(self, example: Example) -> str | None:
        """It is compiled."""
        tree = ast.parse(str(example.parsed))
        compile(tree, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        missing = [each for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in missing_names(node)]
        return f"does not exist: {', '.join(missing)}" if missing else None


def missing_names(node: ast.ImportFrom) -> list[str]:
    """What is imported from the project and is not there."""
    if node.level or node.module is None or node.module.partition(".")[0] not in OURS:
        return []
    module = importlib.import_module(node.module)
    return [f"{node.module}.{alias.name}" for alias in node.names if not hasattr(module, alias.name)]


def write_files(example: Example) -> Path:
    """Write the files that stand above an example, whichever worker of the tests runs it; returns their folder."""
    folder = Path(example.namespace["folder"].name)
    for block in FILE.finditer(example.document.text, 0, example.start):
        path = folder / block.group(2)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.group(1))
    return folder


class Console(CodeBlockParser):
    """Blocks with commands."""

    language = "console"

    def evaluate(self, example: Example) -> str | None:
        """Each command that runs a file of the page prints what stands below it."""
        folder = write_files(example)
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
    parsers=[Python(), Console()], patterns=["*.md", "**/*.md"], setup=own_folder, teardown=forget_folder
).pytest()
