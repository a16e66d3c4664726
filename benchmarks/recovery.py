"""Recovery: how long a daemon takes from its start to the first message handled, with messages stored and without.

    python -m benchmarks.recovery                       # 100,000 stored messages, five runs of each
    python -m benchmarks.recovery --count 10000000 --runs 1
    python -m benchmarks.recovery --actors 1            # a tree of the one actor that has them

Each run is a new interpreter, on a copy of the same store. A line is the medians in milliseconds: the interpreter and
its imports; from there until the tree is up, the first message is handled, and another actor has answered an ask; the
processor time of the daemon for that; and its memory. `python` alone and a tree without a store are the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.durable_worker import Add, Adder
from supervisor import ChildSnapshot, ChildSpec, Supervisor
from supervisor.store import SQLiteStore

NO_STORE: Final = "-"
FILL: Final = """
WITH RECURSIVE number(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM number WHERE seq < ?)
INSERT INTO message (mailbox, seq, kind, message_type, payload, sent_at) SELECT 1, seq, 0, 'Add', ?, 1e9 FROM number
"""


async def fill(path: str, count: int) -> None:
    """Make a store with so many messages for one actor."""
    store = SQLiteStore(path)
    await store.open()
    await store.close()
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO mailbox (id, name, last_seq, waiting) VALUES (1, 'adder', ?, ?)", (count, count))
    if count:
        connection.execute(FILL, (count, msgspec.msgpack.encode(Add(1))))
    connection.commit()
    connection.close()


async def recover(path: str, count: int, names: tuple[str, ...]) -> dict[str, float]:
    """Start a tree; times in milliseconds, memory in MB."""
    logging.disable()
    durable = path != NO_STORE
    began, processor = time.perf_counter(), time.process_time()
    specs = [ChildSpec(Adder, name=name, durable=durable) for name in names]
    async with Supervisor(*specs, store=SQLiteStore(path) if durable else None) as root:
        up = time.perf_counter()
        if durable and count:
            while not ended(root):  # noqa: ASYNC110 - no event tells of one message
                await asyncio.sleep(0)
        else:
            await root["adder"].ask(Add(1))
        handled = time.perf_counter()
        if names[-1] != "adder":
            await root[names[-1]].ask(Add(1), timeout=60)
        answered, spent = time.perf_counter(), time.process_time() - processor
        root.request_kill()
    times = {"up": up, "first handled": handled, "other answered": answered}
    taken = {name: 1e3 * (when - began) for name, when in times.items()}
    return {**taken, "processor": 1e3 * spent}


def ended(root: Supervisor) -> int:
    """How many messages of the first actor have ended."""
    child = root.snapshot().children[0]
    return sum(child.fates.values()) if isinstance(child, ChildSnapshot) else 0


def run(path: str, count: int, actors: int) -> dict[str, float]:
    """One run in an interpreter of its own."""
    command = [sys.executable, "-m", "benchmarks.recovery", "--path", path, "--count", str(count)]
    command += ["--actors", str(actors)]
    began = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"imports": 1e3 * (result.pop("began") - began), **result}


def start_python() -> float:
    """Milliseconds of an interpreter that does nothing."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--actors", type=int, choices=(1, 2), default=2, help="how many the tree has")
    parser.add_argument("--folder", help="where the files are")
    parser.add_argument("--path", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.path:
        began = time.time()
        figures = asyncio.run(recover(given.path, given.count, ("adder", "other")[: given.actors]))
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        print(json.dumps({"began": began, **figures, "MB": pages * 4096 / 1e6}))
        return
    print(f"{'python alone':26} {median(start_python() for _ in range(given.runs)):8.0f}", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        for name, count in (("no store", None), ("an empty store", 0), (f"{given.count:,} messages", given.count)):
            results = []
            for number in range(given.runs):
                path = NO_STORE if count is None else f"{place}/{number}.db"
                if count is not None:
                    full = Path(place, f"{count}.full")
                    if not full.exists():
                        asyncio.run(fill(str(full), count))
                    shutil.copy(full, path)
                results.append(run(path, count or 0, given.actors))
                if count is not None:
                    Path(path).unlink()
            texts = (f"{key} {median(one[key] for one in results):.0f}" for key in results[0])
            print(f"{name:26} {' · '.join(texts)}", flush=True)


if __name__ == "__main__":
    main()
