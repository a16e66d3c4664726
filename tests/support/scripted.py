"""Trees without processes: short words for specs, states and lives that answer."""

from __future__ import annotations

import asyncio

import msgspec

from actors.exits import ExitKind
from actors.wire.codec import encode
from actors.wire.from_child import Outcome, Outcomes
from actors.wire.kinds import ASK, DONE, NOTHING, REPLY
from actors.wire.progress import NOTHING_BEGUN, Progress
from actors.wire.to_child import StartActor
from supervisor import Backoff, ChildSpec, Intensity
from supervisor.testing import OnStart, OnStop, ScriptedLife, ScriptedSupervisor
from tests.support.actors import Puppet
from tests.support.waiting import until

AT_ONCE = Backoff(initial=0.0, cap=0.0, jitter=0.0)
OFTEN = Intensity(100, 5.0)


def child(name="a", actor=Puppet, **options):
    """An actor that is back at once."""
    return ChildSpec(actor, name=name, **{"backoff": AT_ONCE, **options})


def tree(*specs, **options):
    """A tree of scripted lives that does not give up soon."""
    return ScriptedSupervisor(*specs, **{"intensity": OFTEN, **options})


class _Unheard:
    """A listener for a life that says nothing."""


class LoneLife(ScriptedLife):
    """A life of no tree: it keeps what it is given, nothing hears it."""

    def __init__(self, doing=NOTHING_BEGUN):
        super().__init__(StartActor("/root/a", 1, "", "", b""), _Unheard(), OnStart.HANG, OnStop.IGNORE)
        self.doing = doing

    def began(self, seq, *done):
        """The handlers up to `seq` have begun; `done` have returned, the others not."""
        self.doing = Progress(seq, frozenset(range(1, seq + 1)) - set(done), 0, 0)

    @property
    def seqs(self):
        """Delivery tags of what it was given."""
        return [posted.seq for posted in self.received]

    @property
    def numbers(self):
        """What it was given, as the numbers in the messages."""
        return [msgspec.msgpack.decode(posted.message)[1] for posted in self.received]


def states(root, under=""):
    """The state of every child, by name."""
    return {info.name: info.state.value for info in root.which_children(under)}


async def reached(root, wanted, under=""):
    """Wait until the children are in these states, and no others are there."""
    await until(lambda: wanted == states(root, under), f"{wanted}")


async def die(root, path, kind=ExitKind.CRASHED, times=1):
    """Let an actor's life end so often, each time when it is ready."""

    def ready():
        return [life for life in root.launcher.lives if life.path == path and life.ready and not life.over]

    for _ in range(times):
        await until(ready, f"a life of {path}")
        ready()[-1].exit(kind)


def begin(life, *seqs):
    """Let handlers of a life begin, up to the last of these messages; the others up to there are done."""
    life.doing = Progress(max(seqs), frozenset(seqs), 0, 0)


def finish(life, posted, value=None):
    """Let a life be done with a message: an ask is answered."""
    if posted.kind == ASK:
        outcome = Outcome(posted.seq, REPLY, msgspec.Raw(encode(value)))
    else:
        outcome = Outcome(posted.seq, DONE, NOTHING)
    life.say(Outcomes(0, [outcome]))


def answering(launcher, answer=lambda life, message: f"{life.path} {life.number}", when=lambda life: True):
    """Make every life handle what it is given, one message with each turn of the loop; asks get `answer`."""

    def launched(life):
        def work(posted):
            if not life.over:
                begin(life, posted.seq)
                finish(life, posted, answer(life, posted.message))

        def post(batch):
            life.received.extend(batch)
            for posted in batch if when(life) else ():
                asyncio.get_running_loop().call_soon(work, posted)

        life.post = post

    launcher.on_launch = launched
    return launcher
