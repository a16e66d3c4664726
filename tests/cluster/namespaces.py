"""Three machines in network namespaces of one: `make cluster` (as root, with Ray and iproute2).

Each namespace has a raylet, and one of three actors; the daemon runs beside the head. Beside these the parsers of the
demo are spread over them, which indexes the standard library again and again. A chaos task kills actors, agents,
raylets, twice the head, lets some of them stand still, cuts links, in one direction or both, and heals them. At the end
every message is accounted for, none was begun twice, no lock was ever found taken, and each index has every file once.

    python -m tests.cluster.namespaces [seconds]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from pathlib import Path

from examples.codesearch import daemon as demo
from examples.codesearch.crawl import Crawl, walk
from supervisor import Backoff, ChildExited, ChildSpec, ChildStarted, Intensity, Supervisor
from supervisor.cluster import RayCluster
from tests.processes.test_fates import Ledger, judge, send
from tests.support.bank import Note
from tests.support.locked import LockedBank

STDLIB = Path(sysconfig.get_path("stdlib"))
NAMES = ("actors1", "actors2", "actors3")
NETWORK = "10.77.0"
BRIDGE = "actors-br"
LEASE = 3.0
SENDERS = 2  # of each actor
TRIES = 5  # of a start of Ray
NODE_ENDS = 1.0  # seconds; then what a raylet had started has gone
RAYLETS_END = 5.0  # seconds; so long raylets look for another head
NOBODY = "02:00:00:00:00:01"  # an address of Ethernet that no namespace has
KINDS = (
    *("actor", "actor", "agent", "raylet", "agent stopped", "raylet stopped"),
    *("cut", "short cut", "cut towards it", "cut away from it"),
)


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


def start_raylet(name, place):
    """The raylet of a namespace, with the head in the first."""
    ray = str(Path(sys.executable).with_name("ray"))
    number = NAMES.index(name) + 1
    role = ("--head", "--port=6379", "--include-dashboard=false", f"--temp-dir={place}/ray")
    role = role if number == 1 else (f"--address={NETWORK}.1:6379",)
    common = ("--num-cpus=1", f"--object-store-memory={80 * 2**20}", "--disable-usage-stats")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(Path.cwd())}
    words = (ray, "start", *role, f"--node-ip-address={NETWORK}.{number}", *common)
    for _ in range(TRIES):
        if not inside(name, *words, check=False, env=environment).returncode:
            return
        kill(name, "raylet/raylet", "/site-packages/ray/")  # Ray waits half a minute, which may be too short here
    raise RuntimeError(f"Ray does not start in {name}")


def kill(name, *programs, number=signal.SIGKILL):
    """Send a signal to what runs these programs in a namespace."""
    for pid in map(int, run("ip", "netns", "pids", name).stdout.split()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            if any(program in words for program in programs):
                os.kill(pid, number)


def kill_raylet(name, place):
    """Its workers end, and so does the agent; a new one joins."""
    kill(name, "raylet/raylet")
    time.sleep(NODE_ENDS)
    start_raylet(name, place)


def kill_head(place):
    """The head alone; some seconds later all raylets, since none joins another head; then everything anew."""
    kill(NAMES[0], "gcs/gcs_server")
    time.sleep(RAYLETS_END)
    for name in NAMES:
        kill(name, "raylet/raylet", "/site-packages/ray/")
    for name in NAMES:
        start_raylet(name, place)


@contextlib.contextmanager
def cut(name):
    """Nothing reaches a namespace, and nothing leaves it."""
    inside(name, "ip", "link", "set", "eth0", "down")
    yield
    inside(name, "ip", "link", "set", "eth0", "up")


@contextlib.contextmanager
def cut_between(name, other):
    """What the one sends to the other reaches nobody; the other way is as it was."""
    address = f"{NETWORK}.{NAMES.index(other) + 1}"
    inside(name, "ip", "neigh", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0")
    yield
    inside(name, "ip", "neigh", "del", address, "dev", "eth0")


CUTS = {
    "cut": cut,
    "short cut": cut,
    "cut towards it": lambda there: cut_between(NAMES[0], there),
    "cut away from it": lambda there: cut_between(there, NAMES[0]),
}


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Account:
    """One actor, and all that is known of its messages."""

    def __init__(self, place, number):
        self.name = f"bank{number}"
        self.ledger, self.letters = Ledger(), []
        self.book, self.lock, self.taken = (place / f"{self.name}.{word}" for word in ("book", "lock", "taken"))

    def spec(self):
        return ChildSpec(
            LockedBank,
            args=(str(self.book), str(self.lock), str(self.taken)),
            name=self.name,
            place="any",
            backoff=Backoff(initial=0.0, cap=0.5),
            max_deliveries=10_000,
            start_timeout=60,
        )

    def judge(self):
        judge(self.ledger, self.letters, self.book.read_text().splitlines())
        assert not self.taken.exists(), f"two lives at once: {self.taken.read_text()}"


def lives_of(roots):
    """All lives that are on a machine of the cluster."""
    children = [child for root in roots for child in root.snapshot().children]
    return [one for one in children if one.pid is not None and one.node is not None]


async def chaos(roots, place, seconds, counts):
    """Kills, cuts and heals, one after the other, each where one of the actors is."""
    dice = random.Random(7)
    begin = time.monotonic()
    heads = [begin + seconds * part for part in (0.4, 0.75)]
    while time.monotonic() < begin + seconds:
        await asyncio.sleep(dice.uniform(1.0, 4.0))
        what = dice.choice(KINDS)
        if heads and time.monotonic() > heads[0]:
            heads.pop(0)
            counts["head killed"] += 1
            await asyncio.to_thread(kill_head, place)
            continue
        lives = lives_of(roots)
        if what not in ("actor", "agent", "agent stopped"):
            lives = [one for one in lives if one.node != f"{NETWORK}.1"]  # the daemon's own machine is not cut off
        if not lives:
            continue
        child = dice.choice(lives)
        there = NAMES[int(child.node.rpartition(".")[2]) - 1]
        counts[what] += 1
        with contextlib.suppress(OSError):
            if what == "actor":
                os.kill(child.pid, signal.SIGKILL)
            elif what == "agent":
                os.kill(parent_of(child.pid), signal.SIGKILL)
            elif what == "agent stopped":
                await stop_for_long(parent_of(child.pid))
        if what == "raylet":
            await asyncio.to_thread(kill_raylet, there, place)
        elif what == "raylet stopped":
            kill(there, "raylet/raylet", number=signal.SIGSTOP)
            await asyncio.sleep(LEASE * 2)
            kill(there, "raylet/raylet", number=signal.SIGCONT)
        elif "cut" in what:
            with CUTS[what](there):
                await asyncio.sleep(0.5 if what == "short cut" else LEASE * 2 + 1)


async def stop_for_long(agent):
    """It is killed where it stands; what continues is nothing."""
    os.kill(agent, signal.SIGSTOP)
    await asyncio.sleep(LEASE * 2)
    os.kill(agent, signal.SIGCONT)


async def daemon(place, seconds):
    accounts = [Account(place, number) for number in range(len(NAMES))]
    letters = {f"/root/{one.name}": one.letters for one in accounts}
    counts, pauses = Counter(), {}
    cluster = RayCluster(address=f"{NETWORK}.1:6379", lease=LEASE)
    specs = [one.spec() for one in accounts]
    files = walk(STDLIB)
    async with (
        Supervisor(*specs, cluster=cluster, intensity=Intensity.unlimited()) as root,
        demo.tree(STDLIB, place / "index.db", cluster) as codesearch,
    ):
        burying = asyncio.create_task(bury(root, letters))
        watching = asyncio.create_task(watch(root, counts, pauses))
        over = asyncio.Event()
        senders = [
            asyncio.create_task(send({"bank": root[one.name]}, one.ledger, sender, over))
            for one in accounts
            for sender in range(SENDERS)
        ]
        indexing = asyncio.create_task(index(codesearch, files, over))
        await chaos((root, codesearch), place, seconds, counts)
        over.set()
        crawls = await indexing
        await asyncio.gather(*senders)
        await asyncio.gather(*(root[one.name].ask(Note(99, 1), timeout=300) for one in accounts))
    burying.cancel()
    watching.cancel()
    for one in accounts:
        one.judge()
    assert all(crawl.complete and not crawl.errors for crawl in crawls), crawls
    sent = sum(len(one.ledger.sent) for one in accounts)
    sys.stdout.write(f"{sent} messages, {sum(map(len, letters.values()))} dead letters; {dict(counts)}\n")
    sys.stdout.write("lost 0, doubled 0, two at once 0\n")
    sys.stdout.write(f"demo: {len(files)} files indexed {len(crawls)} times, each file once\n")
    for kind, times in pauses.items():
        sys.stdout.write(f"down after {kind}: median {statistics.median(times):.2f} s, most {max(times):.2f} s\n")


async def index(codesearch, files, over):
    """What came of each crawl."""
    crawls = []
    while not over.is_set():
        crawls.append(await Crawl(codesearch["parser"], codesearch["index"], lambda: None).run(files))
    return crawls


async def bury(root, letters):
    async for letter in root.dead_letters():
        letters[letter.actor].append(letter)


async def watch(root, counts, pauses):
    """Count starts and ends; how long each kind of end kept an actor down."""
    ended = {}
    async for event in root.events():
        if isinstance(event, ChildStarted):
            counts[f"starts on {event.node}"] += 1
            if event.actor in ended:
                kind, since = ended.pop(event.actor)
                pauses.setdefault(kind, []).append(time.monotonic() - since)
        elif isinstance(event, ChildExited):
            kind = event.report.reason.kind.value
            counts[kind] += 1
            ended.setdefault(event.report.actor, (kind, time.monotonic()))


def main():
    if os.environ.get("ACTORS_INSIDE"):
        asyncio.run(daemon(Path(os.environ["ACTORS_INSIDE"]), float(sys.argv[1])))
        return
    remove()
    with tempfile.TemporaryDirectory(prefix="ac", dir="/tmp") as place:
        try:
            build()
            for name in NAMES:
                start_raylet(name, place)
            environment = {**os.environ, "ACTORS_INSIDE": place, "RAY_AUTH_MODE": "disabled"}
            seconds = sys.argv[1] if len(sys.argv) > 1 else "300"
            words = ("ip", "netns", "exec", NAMES[0], sys.executable, "-m", "tests.cluster.namespaces", seconds)
            sys.exit(subprocess.run(words, env=environment, check=False).returncode)
        finally:
            remove()


if __name__ == "__main__":
    main()
