"""Main module: where the script that the daemon runs lies on the agent's machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_PATH: Final = "init_main_from_path"


def main_here(main: dict[str, bytes]) -> dict[str, bytes]:
    """What `multiprocessing.spawn.prepare` needs here to import the daemon's main module.

    A script that is not at its path is looked for by its name on `sys.path`, where Ray puts a working directory.

    Args:
        main: the same, for the daemon's machine.
    """
    encoded = main.get(_PATH)
    path = None if encoded is None else Path(os.fsdecode(encoded))
    if path is None or path.exists():
        return main
    places = (Path(folder, path.name).absolute() for folder in sys.path)
    return {_PATH: os.fsencode(next((place for place in places if place.is_file()), path))}
