"""Glance: what is seen of a daemon at one moment, by requests over one connection that block.

Runs in the thread that looks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from supervisor.control.frames import Tree
from supervisor.ctl.client import Client
from supervisor.ctl.errors import RequestFailed
from supervisor.ctl.rows import Look, rows, usage
from supervisor.ctl.web.latency import Buckets, quantiles, read_buckets
from supervisor.ctl.web.view import Quantiles, row_view

SLOW: Final = 3  # looks between two readings of dead letters and metrics
WINDOW: Final = 5  # readings of the metrics between which latency is measured


class Glances:
    """Looks at one daemon again and again.

    Args:
        client: a connection to it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._number = 0
        self._before: Look | None = None
        self._buckets: deque[dict[str, Buckets]] = deque(maxlen=WINDOW)
        self._latency: Quantiles = {}

    def take(self) -> Iterator[tuple[str, Any]]:
        """What is there now, by kind; dead letters and metrics now and then."""
        tree: Tree = self._client.tree()
        look = Look(tree, usage(tree))
        if self._number % SLOW == 0:
            yield from self._seldom()
        self._number += 1
        found = [row_view(row, self._latency) for row in rows(look, self._before)]
        self._before = look
        yield "tree", {"at": tree.at, "rows": found}

    def _seldom(self) -> Iterator[tuple[str, Any]]:
        try:
            yield "dead", self._client.dead()
            self._buckets.append(read_buckets(self._client.metrics()))
        except RequestFailed as error:
            yield "note", str(error)
            return
        yield "note", ""
        first, last = self._buckets[0], self._buckets[-1]
        self._latency = {path: quantiles(last[path], first.get(path, {})) for path in last}
