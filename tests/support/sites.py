"""Sites: where the actors of a test run, so that one test runs on each: `pytest --engine=local|agents|ray`.

Each tree starts a Ray of its own; where `RAY_ADDRESS` names the head of one, all trees use that, which takes less time.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple


class Site(NamedTuple):
    """A place for specs, how many seconds a start may take there, and the options of their supervisor."""

    place: str
    start_timeout: float
    options: dict[str, Any]


def site_of(engine):
    """The site of `--engine`."""
    if engine == "local":
        return Site("local", 30.0, {})
    if engine == "agents":
        from tests.support.machines import LocalCluster  # noqa: PLC0415 - only where it is wanted

        return Site("any", 30.0, {"cluster": LocalCluster(("m1",), lease=30.0)})
    from supervisor.cluster import RayCluster  # noqa: PLC0415 - it needs Ray

    os.environ.setdefault("RAY_TMPDIR", "/tmp")  # its sockets need a short path, and its logs stay there

    address = os.environ.get("RAY_ADDRESS", "local")
    return Site("any", 240.0, {"cluster": RayCluster(address=address, lease=30.0)})  # the first start starts Ray
