"""Durable messages beside raw SQLite and other queues in a file: how many a second are safe on the disk.

    python -m benchmarks.durable                              # ours and raw sqlite3; peers where they are installed
    python -m benchmarks.durable --sync normal --count 50000
    python -m benchmarks.durable --python .venv-peers/bin/python --only huey,litequeue

The limit is sqlite3 itself: the same bytes, inserted in transactions of 1,000. Each contender runs in an interpreter of
its own, one after the other, on the same disk. All wait until a message is safe, as `sync` says; a peer that has no
such setting is named with its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from benchmarks.durable_worker import TEXT, Add, Adder

SENDERS = 64
PAYLOAD = TEXT.encode()
BATCH = 1000


def raw(path: str, sync: str, count: int, batch: int) -> float:
    """Messages a second of sqlite3 itself."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {sync}")
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, type TEXT, payload BLOB, sent REAL)")
    began = time.perf_counter()
    for first in range(0, count, batch):
        rows = [("Add", PAYLOAD, 1e9 + number) for number in range(first, min(first + batch, count))]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO message (type, payload, sent) VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    return count / (time.perf_counter() - began)


async def ours(path: str, sync: str, count: int, senders: int, way: str) -> float:
    """Messages a second of a durable actor with a state; of tells, until they are taken."""
    from supervisor import ChildSpec, Supervisor  # noqa: PLC0415 - peers' interpreters do without
    from supervisor.store import SQLiteStore  # noqa: PLC0415 - the same

    logging.disable()
    store = SQLiteStore(path, sync="full" if sync == "full" else "normal")
    async with Supervisor(ChildSpec(Adder, name="adder", durable=True), store=store) as root:
        adder = root["adder"]
        await adder.ask(Add(1))

        async def send(share: int) -> None:
            if way == "ask":
                for _ in range(share):
                    await adder.ask(Add(1))
            elif way == "tell":
                for _ in range(share):
                    await adder.tell(Add(1))
            else:
                for first in range(0, share, BATCH):
                    await adder.tell_many([Add(1)] * min(BATCH, share - first))

        began = time.perf_counter()
        await asyncio.gather(*(send(count // senders) for _ in range(senders)))
        taken = time.perf_counter() - began
        total = await adder.ask(Add(0))
        assert total == count // senders * senders + 1, total
        return count // senders * senders / taken


def on_uvloop(run: Coroutine[Any, Any, float]) -> float:
    """As `asyncio.run`, on uvloop."""
    import uvloop  # noqa: PLC0415 - peers' interpreters do without

    return uvloop.run(run)


def store_alone(path: str, sync: str, count: int, senders: int) -> float:
    """Messages a second of the store without an actor."""
    from supervisor.store import SQLiteStore  # noqa: PLC0415 - peers' interpreters do without
    from supervisor.store.writes import Accept, MessageRow  # noqa: PLC0415 - the same

    async def run() -> float:
        store = SQLiteStore(path, sync="full" if sync == "full" else "normal")
        await store.open()
        numbers = iter(range(1, count + 1))

        async def send(share: int) -> None:
            for _ in range(share):
                row = MessageRow(next(numbers), 0, "Add", PAYLOAD, None, None, 1e9)
                await store.commit([Accept("adder", [row])])

        began = time.perf_counter()
        await asyncio.gather(*(send(count // senders) for _ in range(senders)))
        taken = time.perf_counter() - began
        await store.close()
        return count // senders * senders / taken

    return asyncio.run(run())


def in_threads(put: Callable[[], Any], count: int) -> float:
    """Messages a second of as many threads as there are senders."""

    def send() -> None:
        for _ in range(count // SENDERS):
            put()

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count // SENDERS * SENDERS / (time.perf_counter() - began)


def huey(path: str, sync: str, count: int) -> float:
    """Huey with its SQLite storage."""
    from huey import SqliteHuey  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - a peer

    queue = SqliteHuey(filename=path, fsync=sync == "full", timeout=60)
    task = queue.task()(lambda data: data)
    return in_threads(lambda: task(PAYLOAD), count)


def litequeue(path: str, sync: str, count: int) -> float:
    """litequeue; it sets synchronous to NORMAL itself."""
    from litequeue import LiteQueue  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - a peer

    own = threading.local()

    def put() -> None:
        if not hasattr(own, "queue"):
            own.queue = LiteQueue(path, timeout=60)
            own.queue.conn.execute(f"PRAGMA synchronous = {sync}")
        own.queue.put("x" * 60)

    LiteQueue(path)
    return in_threads(put, count)


def persist_queue(path: str, sync: str, count: int) -> float:
    """persist-queue with acknowledgements; it commits each put."""
    from persistqueue import SQLiteAckQueue  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - a peer

    del sync
    queue = SQLiteAckQueue(str(Path(path).parent), multithreading=True, auto_commit=True)
    return in_threads(lambda: queue.put(PAYLOAD), count)


def dbos(path: str, sync: str, count: int) -> float:
    """DBOS with SQLite: workflows that run one step and keep its result."""
    from dbos import DBOS, DBOSConfig  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - a peer

    del sync
    logging.disable()
    DBOS(config=DBOSConfig(name="bench", system_database_url=f"sqlite:///{path}", log_level="ERROR"))

    @DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
    def work(number: int) -> int:
        return number

    DBOS.launch()
    rate = in_threads(lambda: work(1), count)
    DBOS.destroy()
    return rate


CONTENDERS: dict[str, tuple[str, float, Callable[[str, str, int], float]]] = {
    "raw 1000": ("sqlite3, transactions of 1,000: the limit", 1, lambda path, sync, n: raw(path, sync, n, BATCH)),
    "raw 64": ("sqlite3, transactions of 64", 1, lambda path, sync, n: raw(path, sync, n, SENDERS)),
    "raw 1": ("sqlite3, one commit each", 0.1, lambda path, sync, n: raw(path, sync, n, 1)),
    "store": ("SQLiteStore, 64 senders", 1, lambda path, sync, n: store_alone(path, sync, n, SENDERS)),
    "tell": ("durable tells, 64 senders", 1, lambda path, sync, n: asyncio.run(ours(path, sync, n, SENDERS, "tell"))),
    "tell uvloop": (
        "durable tells, 64 senders, uvloop",
        1,
        lambda path, sync, n: on_uvloop(ours(path, sync, n, SENDERS, "tell")),
    ),
    "tell_many": (
        "durable tell_many, 1,000 each",
        1,
        lambda path, sync, n: asyncio.run(ours(path, sync, n, 1, "tell_many")),
    ),
    "tell_many 64": (
        "durable tell_many, 64 senders, 1,000 each",
        4,
        lambda path, sync, n: asyncio.run(ours(path, sync, n, SENDERS, "tell_many")),
    ),
    "one": ("durable tells, one sender", 0.1, lambda path, sync, n: asyncio.run(ours(path, sync, n, 1, "tell"))),
    "ask": (
        "durable asks with a state, 64 askers",
        0.5,
        lambda path, sync, n: asyncio.run(ours(path, sync, n, SENDERS, "ask")),
    ),
    "huey": ("huey, 64 threads", 0.1, huey),
    "litequeue": ("litequeue, 64 threads", 0.1, litequeue),
    "persist": ("persist-queue, 64 threads, its own sync", 0.05, persist_queue),
    "dbos": ("DBOS with SQLite, 64 threads, its own sync", 0.02, dbos),
}


def measure(name: str, python: str, sync: str, count: int, folder: str | None) -> float | str:
    """Run one contender in an interpreter of its own; its rate, or why there is none."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = [python, "-m", "benchmarks.durable", "--contender", name, "--path", f"{place}/shop.db"]
        done = subprocess.run(
            [*command, "--sync", sync, "--count", str(count)],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:90]
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sync", choices=("full", "normal"), default="full")
    parser.add_argument("--count", type=int, default=64_000)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the peers")
    parser.add_argument("--folder", help="where the files are, on the disk that is measured")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        print(json.dumps(CONTENDERS[given.contender][2](given.path, given.sync, given.count)))
        return
    rates: dict[str, float] = {}
    for name in given.only.split(","):
        text, share, _ = CONTENDERS[name]
        peer = name in ("huey", "litequeue", "persist", "dbos")
        python = given.python if peer else sys.executable
        rate = measure(name, python, given.sync, int(given.count * share), given.folder)
        if isinstance(rate, str):
            print(f"{text:45} {rate}", flush=True)
            continue
        rates[name] = rate
        limit = rates.get("raw 1000")
        print(f"{text:45} {rate:10,.0f}/s{'' if limit is None else f'  {rate / limit:6.2f} x the limit'}", flush=True)


if __name__ == "__main__":
    main()
