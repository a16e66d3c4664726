"""An environment of its own for each peer: made when it is first needed, kept, and told about when it cannot be."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.session import ROOT, ContenderFailed

PLACE = ROOT / ".venv-peers"
PATIENCE = 600.0  # seconds in which a peer must be installed


def python_of(requirement: str, least: tuple[int, int] = (3, 11), also: tuple[str, ...] = ()) -> Path:
    """The interpreter of an environment in which that is installed.

    Args:
        requirement: as pip takes it.
        least: the oldest Python it runs on; where this one is older, that one is looked for on the path.
        also: what else is installed there.

    Raises:
        ContenderFailed: it could not be installed. It is not tried again by this process.
    """
    made = _made(requirement, least, also)
    if isinstance(made, str):
        raise ContenderFailed(made)
    return made


@functools.cache
def _made(requirement: str, least: tuple[int, int], also: tuple[str, ...]) -> Path | str:
    directory = PLACE / requirement
    python, ready = directory / "bin" / "python", directory / "ready"
    if ready.exists():
        return python
    base = _interpreter(least)
    if base is None:
        return f"it needs python{least[0]}.{least[1]}, which is not on the path"
    commands: tuple[list[str | Path], ...] = (
        [base, "-m", "venv", "--clear", directory],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement, *also],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"not installed within {PATIENCE:g} s"
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines() or ["without a word"]
        return f"not installed: {said[-1]}"
    ready.touch()
    return python


def _interpreter(least: tuple[int, int]) -> str | None:
    return sys.executable if sys.version_info >= least else shutil.which(f"python{least[0]}.{least[1]}")
