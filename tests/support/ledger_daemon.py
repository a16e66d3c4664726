"""A daemon with two durable ledgers and its own clients, to be killed: python -m tests.support.ledger_daemon FOLDER.

`log` says what was sent (S) and what was acknowledged (A), a line each, written before and after. Each client has one
operation under way; after a start it first asks again, with the same key, what was not acknowledged. Where the file
`stop` is there, the clients end, and `result` gets the books once nothing is under way.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import msgspec

from actors import ActorsError
from supervisor import Backoff, ChildSpec, ChildStarted, Intensity, Supervisor
from supervisor.store import SQLiteStore
from tests.support.ledgers import Charge, Ledger, Show, Transfer

CLIENTS = 4
OTHER = {"a": "b", "b": "a"}


class Sent(msgspec.Struct):
    """One operation of the log.

    Attributes:
        name: of the operation, `client.number`.
        kind: charge, tell or transfer.
        ledger: to which it was sent.
        amount: of it.
        acknowledged: whether its sender has heard of its success.
    """

    name: str
    kind: str
    ledger: str
    amount: int
    acknowledged: bool = False


def read_log(folder):
    """The operations, in the order in which they were sent."""
    sent = {}
    for line in (folder / "log").read_text().splitlines():
        what, name, *rest = line.split()
        if what == "S":
            kind, ledger, amount = rest
            sent[name] = Sent(name, kind, ledger, int(amount))
        else:
            sent[name].acknowledged = True
    return list(sent.values())


class Client:
    """Sends one operation after the other."""

    def __init__(self, root, number, log, before):
        self.root = root
        self.number = number
        self.log = log
        mine = [one for one in before if one.name.startswith(f"{number}.")]
        self.next = len(mine) + 1
        self.open = [one for one in mine[-1:] if not one.acknowledged and one.kind != "tell"]
        self.dice = random.Random()

    async def work(self, stop):
        for one in self.open:
            await self.send(one)
        while not stop.exists():
            name = f"{self.number}.{self.next}"
            kind = self.dice.choice(("charge", "tell", "transfer"))
            one = Sent(name, kind, self.dice.choice("ab"), self.dice.randint(1, 9))
            self.next += 1
            self.write(f"S {name} {one.kind} {one.ledger} {one.amount}")
            await self.send(one)
            await asyncio.sleep(self.dice.random() * 0.01)

    async def send(self, one):
        """Until it is acknowledged; a tell that failed is not sent again."""
        ref = self.root[one.ledger]
        while True:
            try:
                if one.kind == "tell":
                    await ref.tell(Charge(one.amount, one.name))
                elif one.kind == "charge":
                    await ref.ask(Charge(one.amount, one.name), key=one.name, timeout=60)
                else:
                    await ref.ask(Transfer(one.amount, OTHER[one.ledger], one.name), key=one.name, timeout=60)
            except ActorsError:
                if one.kind == "tell":
                    return
            else:
                self.write(f"A {one.name}")
                return

    def write(self, line):
        os.write(self.log, f"{line}\n".encode())


async def main(folder):
    before = read_log(folder) if (folder / "log").exists() else []
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    specs = [
        ChildSpec(
            Ledger, name=name, durable=True, max_deliveries=1000, mailbox=8, backoff=Backoff(initial=0, cap=0, jitter=0)
        )
        for name in "ab"
    ]
    root = Supervisor(*specs, store=SQLiteStore(folder / "shop.db", sync="normal"), intensity=Intensity.unlimited())
    events = root.events()
    async with root:
        telling = asyncio.create_task(tell_pids(folder, events))
        clients = [Client(root, number, log, before) for number in range(CLIENTS)]
        await asyncio.gather(*(client.work(folder / "stop") for client in clients))
        mailboxes = [root[name]._mailbox for name in "ab"]
        while not all(mailbox.drained for mailbox in mailboxes):
            await asyncio.sleep(0.01)
        books = {name: await root[name].ask(Show()) for name in "ab"}
        (folder / "result").write_bytes(msgspec.json.encode(books))
        telling.cancel()


async def tell_pids(folder, events):
    async for event in events:
        if isinstance(event, ChildStarted):
            (folder / f"pid.{event.actor[-1]}").write_text(str(event.pid))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
