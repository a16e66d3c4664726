"""Three machines in network namespaces of one: `make cluster` (as root, with Ray and iproute2).

Each namespace has a raylet; the daemon runs beside the head. A chaos task kills the actor, kills agents, cuts links and
heals them. At the end every message is accounted for, none was begun twice, and no lock was ever found taken.

    python -m tests.cluster.namespaces [seconds]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from supervisor import Backoff, ChildExited, ChildSpec, ChildStarted, Intensity, Supervisor
from supervisor.cluster import RayCluster
from tests.processes.test_fates import Ledger, collect, judge, send
from tests.support.bank import Note
from tests.support.locked import LockedBank

NAMES = ("actors1", "actors2", "actors3")
NETWORK = "10.77.0"
BRIDGE = "actors-br"
LEASE = 3.0
SENDERS = 3


def run(*words, check=True, **options):
    return subprocess.run(words, check=check, capture_output=True, text=True, **options)


def inside(name, *words, **options):
    return run("ip", "netns", "exec", name, *words, **options)


def build():
    """A bridge, and a namespace behind each of three links."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "link", "set", BRIDGE, "up")
    for number, name in enumerate(NAMES, 1):
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"{name}-out", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"{name}-out", "master", BRIDGE, "up")
        inside(name, "ip", "addr", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        inside(name, "ip", "link", "set", "eth0", "up")
        inside(name, "ip", "link", "set", "lo", "up")


def remove():
    """Everything of it, and every process inside."""
    for name in NAMES:
        for pid in run("ip", "netns", "pids", name, check=False).stdout.split():
            if int(pid) != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", name, check=False)
    run("ip", "link", "del", BRIDGE, check=False)


def start_raylets(place):
    ray = str(Path(sys.executable).with_name("ray"))
    common = ("--num-cpus=1", f"--object-store-memory={80 * 2**20}", "--disable-usage-stats")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(Path.cwd())}
    for number, name in enumerate(NAMES, 1):
        address = f"--node-ip-address={NETWORK}.{number}"
        role = ("--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={place}")
        role = role if number == 1 else (f"--address={NETWORK}.1:6379",)
        inside(name, ray, "start", *role, address, *common, env=environment)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def chaos(root, until, counts):
    """Kills, cuts and heals, one after the other."""
    dice = random.Random(7)
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(1.0, 4.0))
        (child,) = root.snapshot().children
        what = dice.choice(["actor", "actor", "agent", "cut", "short cut"])
        counts[what] += 1
        if what == "actor" and child.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        elif what == "agent" and child.pid is not None:
            with contextlib.suppress(OSError):
                os.kill(parent_of(child.pid), signal.SIGKILL)
        elif what in ("cut", "short cut") and child.node is not None and child.node != f"{NETWORK}.1":
            there = NAMES[int(child.node.rpartition(".")[2]) - 1]
            inside(there, "ip", "link", "set", "eth0", "down")
            await asyncio.sleep(LEASE * 2 + 1 if what == "cut" else 0.5)
            inside(there, "ip", "link", "set", "eth0", "up")


async def daemon(place, seconds):
    book, taken = place / "book", place / "taken"
    ledger, letters, counts = Ledger(), [], Counter()
    spec = ChildSpec(
        LockedBank,
        args=(str(book), str(place / "lock"), str(taken)),
        name="bank",
        place="any",
        backoff=Backoff(initial=0.0, cap=0.0),
        max_deliveries=10_000,
        start_timeout=60,
    )
    cluster = RayCluster(address=f"{NETWORK}.1:6379", lease=LEASE)
    async with Supervisor(spec, cluster=cluster, intensity=Intensity.unlimited()) as root:
        burying = asyncio.create_task(collect(root, letters))
        watching = asyncio.create_task(watch(root, counts))
        over = asyncio.Event()
        senders = [asyncio.create_task(send(root, ledger, sender, over)) for sender in range(SENDERS)]
        await chaos(root, time.monotonic() + seconds, counts)
        over.set()
        await asyncio.gather(*senders)
        await root["bank"].ask(Note(99, 1), timeout=120)
    burying.cancel()
    watching.cancel()
    judge(ledger, letters, book.read_text().splitlines())
    assert not taken.exists(), f"two lives at once: {taken.read_text()}"
    sys.stdout.write(
        f"{len(ledger.sent)} messages, {len(letters)} dead letters, {dict(counts)}; lost 0, doubled 0, two at once 0\n"
    )


async def watch(root, counts):
    async for event in root.events():
        if isinstance(event, ChildStarted):
            counts[f"starts on {event.node}"] += 1
        elif isinstance(event, ChildExited):
            counts[event.report.reason.kind.value] += 1


def main():
    if os.environ.get("ACTORS_INSIDE"):
        asyncio.run(daemon(Path(os.environ["ACTORS_INSIDE"]), float(sys.argv[1])))
        return
    remove()
    with tempfile.TemporaryDirectory(prefix="ac", dir="/tmp") as place:
        try:
            build()
            start_raylets(f"{place}/ray")
            environment = {**os.environ, "ACTORS_INSIDE": place, "RAY_AUTH_MODE": "disabled"}
            seconds = sys.argv[1] if len(sys.argv) > 1 else "300"
            words = ("ip", "netns", "exec", NAMES[0], sys.executable, "-m", "tests.cluster.namespaces", seconds)
            sys.exit(subprocess.run(words, env=environment, check=False).returncode)
        finally:
            remove()


if __name__ == "__main__":
    main()
