"""Place: where in a cluster the processes of a spec run. Pure.

"local" is the daemon's machine, "any" the least loaded one, "node:LABEL" one with that label, and a mapping asks for
resources, as `{"gpu": 1}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Place = str | Mapping[str, float]

LOCAL: Final = "local"
ANY: Final = "any"
NODE: Final = "node:"


def in_words(place: Place) -> str:
    """A place for a person."""
    if isinstance(place, str):
        return place
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(place.items()))
