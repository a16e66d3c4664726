"""The daemon: an ordinary asyncio program with a tree of actors in it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from actors import ActorRef
from examples.codesearch.chaos import chaos
from examples.codesearch.chronicle import Chronicle
from examples.codesearch.crawl import Crawl, Outcome
from examples.codesearch.index import Index
from examples.codesearch.messages import Search
from examples.codesearch.parser import Parser
from examples.codesearch.terminal import Terminal
from examples.codesearch.web import serving
from supervisor import Backoff, ChildSpec, Intensity, Supervisor
from supervisor.cluster import RayCluster
from supervisor.metrics import Collector

PARSERS = 3
QUERIES = ("event loop policy", "tokenize generator", "restart child process")

# Chaos kills on purpose: no number of kills makes the supervisor give up, and an actor that lived for a moment is
# healthy, so that it is back at once. What a kill interrupts is delivered again, however often: a parser is done with
# the largest piece it reads within about a second, so chaos alone cannot hit one file this many times.
CALM = Intensity.unlimited()
EAGER = Backoff(initial=0.01, cap=0.1, healthy_after=0.2)
DELIVERIES = 1_000


@dataclass(frozen=True)
class Options:
    """What to do.

    Attributes:
        path: the tree to index.
        db: the index file; None for one that goes when the daemon goes.
        chaos: seconds between two kills, None for peace.
        port: where to serve when the index is complete, None to end instead.
        cluster: the address of a Ray cluster over which the parsers are spread, None for this machine alone.
    """

    path: Path
    db: Path | None
    chaos: float | None
    port: int | None
    cluster: str | None = None


def tree(path: Path, db: Path, cluster: RayCluster | None = None) -> Supervisor:
    """The actors. The index is the first to start and the last to stop; it is at home, where its file is."""
    where = "local" if cluster is None else "any"
    return Supervisor(
        ChildSpec(Index, args=(str(db),), backoff=EAGER, max_deliveries=DELIVERIES),
        ChildSpec(Parser, args=(str(path),), size=PARSERS, backoff=EAGER, max_deliveries=DELIVERIES, place=where),
        cluster=cluster,
        intensity=CALM,
        control="auto",  # actorctl ps, tree, why parser, ...
    )


async def run(options: Options, files: list[str], terminal: Terminal) -> bool:
    """Index `files` under fire, show what came of it, and serve it if asked to. True when all is well."""
    with _database(options.db) as db:
        cluster = None if options.cluster is None else RayCluster(address=options.cluster)
        supervisor = tree(options.path, db, cluster)
        Collector(supervisor)  # for actorctl metrics and web; Prometheus gets it by REGISTRY.register(...)
        chronicle = Chronicle(terminal.say)
        keeping = asyncio.create_task(chronicle.keep(supervisor.events()))  # ends with the tree
        async with supervisor as root, _web(root["index"], options.port) as url:
            outcome = await _crawl(root, files, options.chaos, chronicle, terminal)
            terminal.report(outcome, chronicle)
            for query in QUERIES:
                terminal.hits(query, await root["index"].ask(Search(query, limit=3)))
            if url:
                terminal.say(f"\nserving {url}/search?q=event+loop until Ctrl-C")
                await root.serve()
        await keeping
    killed = chronicle.kills.total() > 0 or options.chaos is None or outcome.seconds < max(1.0, 2 * options.chaos)
    if not killed:
        terminal.say("chaos killed no process: this run has shown nothing", style="red")
    return killed and outcome.complete


async def _crawl(
    root: Supervisor, files: list[str], period: float | None, chronicle: Chronicle, terminal: Terminal
) -> Outcome:
    """The crawl, with chaos around it; returns when the last who was killed is back."""
    killing = asyncio.create_task(chaos(chronicle, period)) if period is not None else None
    try:
        with terminal.progress(len(files)) as advance:
            return await Crawl(root["parser"], root["index"], advance).run(files)
    finally:
        if killing is not None:
            killing.cancel()
        await chronicle.everybody_back()


@contextmanager
def _database(path: Path | None) -> Iterator[Path]:
    """The file of that name, or one that is gone at the end."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="codesearch-") as folder:
        yield Path(folder, "index.db")


def _web(index: ActorRef, port: int | None) -> AbstractAsyncContextManager[str]:
    return nullcontext("") if port is None else serving(index, port)
