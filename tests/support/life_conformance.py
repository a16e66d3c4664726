"""Conformance of `supervisor.ports.life.Life`: what every implementation does, and what every listener may rely on."""

from __future__ import annotations

import pickle

import msgspec

from actors.errors import WireError
from actors.protocol.protocol import protocol_of
from actors.wire.codec import encode
from actors.wire.from_child import Outcomes
from actors.wire.kinds import ASK, REPLY, TELL
from actors.wire.progress import Activity, Progress
from actors.wire.to_child import StartActor
from supervisor.core.delivery.messages import Classes, QueuedMessage
from supervisor.core.delivery.queue import QueuedTells
from tests.support.actors import Echo, Fail, FailsToStart, Note, Notes, Puppet, StopYourself, WaitsInStart
from tests.support.waiting import at_rest, until

CLASSES = Classes({message.__struct_config__.tag: at for at, message in enumerate(protocol_of(Puppet).handlers)}, ())


async def check_life(launcher):
    """Check every rule of the port.

    Args:
        launcher: its lives act as the actors Puppet, FailsToStart and WaitsInStart.
    """
    for check in (
        _it_is_ready_once_and_handles_messages_in_order,
        _it_stops_when_it_is_asked_to,
        _it_is_killed,
        _it_ends_by_itself,
        _it_crashes,
        _it_ends_before_it_is_ready,
        _it_is_killed_before_it_is_ready,
        _it_is_refused_by_its_listener,
    ):
        await check(Trial(launcher))


class Trial:
    """Lives of one launcher, each with a listener that keeps what it hears."""

    def __init__(self, launcher):
        self._launcher = launcher
        self.heard = []  # "ready", frames, and the end, in the order in which they came
        self.refusal = ""
        self._calling = False

    def launch(self, actor=Puppet):
        start = StartActor("/root/a", 1, actor.__module__, actor.__qualname__, pickle.dumps(((), {})))
        self._calling = True
        life = self._launcher.launch(start, 1, self)
        self._calling = False
        assert not life.said_farewell
        return life

    async def ready(self, actor=Puppet):
        life = self.launch(actor)
        await until(lambda: self.heard, "life_ready")
        assert ["ready"] == self.heard
        assert not life.congested
        return life

    def call(self, deed, *arguments, **options):
        """Call a life, which does not call its listener before it has returned."""
        self._calling = True
        try:
            return deed(*arguments, **options)
        finally:
            self._calling = False

    def ask(self, life, seq, message):
        self.call(life.post, [queued(seq, ASK, message)])

    async def reply(self, seq):
        """The payload of a reply, None for one without."""

        def replies():
            return [item for item in self.outcomes if item.seq == seq and item.kind == REPLY]

        await until(replies, f"the reply to {seq}")
        return msgspec.msgpack.decode(replies()[0].payload)

    @property
    def outcomes(self):
        return [item for frame in self.heard if isinstance(frame, Outcomes) for item in frame.items]

    async def ended(self, life):
        """Its end, which is the last thing that is heard; afterwards every call does nothing."""
        await until(lambda: self.ends, "life_exited")
        (end,) = self.ends
        heard = list(self.heard)
        assert end is heard[-1]
        assert end.pid == life.pid
        self._call_everything(life)
        await at_rest()
        assert heard == self.heard
        assert end.progress == life.progress()
        return end

    @property
    def ends(self):
        return [one for one in self.heard if hasattr(one, "exit_code")]

    def _call_everything(self, life):
        self.call(life.post, [queued(90, TELL, Note(1))])
        self.call(life.post_batch, QueuedTells(91, [encode(Note(2))], CLASSES))
        self.call(life.cancel, [90])
        self.call(life.recall, [90])
        self.call(life.credit, 90, 1)
        self.call(life.follow, 90, [encode(1)], over=True)
        self.call(life.answer, b"")
        self.call(life.stop)
        self.call(life.kill)
        self.call(life.ask_heartbeat)
        self.call(life.dump_stacks)
        assert isinstance(life.text(), str)
        assert isinstance(life.activity(), Activity)
        assert isinstance(life.progress(), Progress)

    # ---- LifeListener

    def life_ready(self):
        self._hear("ready")

    def life_outcomes(self, frame, attachments):
        self.life_said(frame, attachments)

    def life_said(self, frame, attachments=()):
        assert not attachments
        self._hear(frame)
        if self.refusal:
            raise WireError(self.refusal)

    def life_wrote(self, life, record):
        """It may write."""

    def life_lost(self, life, lines, size):
        raise AssertionError("it writes little")

    def life_writable(self):
        """It may have been congested."""

    def life_exited(self, end):
        self._hear(end)

    def _hear(self, what):
        assert not self._calling, "the listener is called while the life or its launcher is"
        self.heard.append(what)


def queued(seq, kind, message):
    return QueuedMessage(seq, kind, None, None, msgspec.Raw(encode(message)))


async def _it_is_ready_once_and_handles_messages_in_order(trial):
    life = await trial.ready()
    trial.call(life.post, [queued(1, TELL, Note(1)), queued(2, ASK, Echo("a")), queued(3, TELL, Note(2))])
    trial.call(life.post_batch, QueuedTells(4, [encode(Note(3)), encode(Note(4))], CLASSES))
    trial.ask(life, 6, Notes())
    assert ("a", [1, 2, 3, 4]) == (await trial.reply(2), await trial.reply(6))
    assert max(frame.ack_up_to for frame in trial.heard if isinstance(frame, Outcomes)) >= 5
    await until(lambda: 6 == life.progress().begun, "the black box shows it")
    assert 1 == trial.heard.count("ready")
    life.kill()
    await trial.ended(life)


async def _it_stops_when_it_is_asked_to(trial):
    life = await trial.ready()
    trial.call(life.stop)
    trial.call(life.stop)
    end = await trial.ended(life)
    assert (0, True, False) == (end.exit_code, end.stop_asked, end.kill_asked), end


async def _it_is_killed(trial):
    life = await trial.ready()
    trial.call(life.kill)
    trial.call(life.kill)
    end = await trial.ended(life)
    assert (-9, False, True) == (end.exit_code, end.stop_asked, end.kill_asked)


async def _it_ends_by_itself(trial):
    life = await trial.ready()
    trial.ask(life, 1, StopYourself())
    end = await trial.ended(life)
    assert (0, False, False, None) == (end.exit_code, end.stop_asked, end.kill_asked, end.wire_error)
    assert life.said_farewell
    assert [1] == [item.seq for item in trial.outcomes]


async def _it_crashes(trial):
    life = await trial.ready()
    trial.ask(life, 1, Fail())
    end = await trial.ended(life)
    assert (1, False, False) == (end.exit_code, end.stop_asked, end.kill_asked)
    assert life.said_farewell


async def _it_ends_before_it_is_ready(trial):
    life = trial.launch(FailsToStart)
    end = await trial.ended(life)
    assert [end] == trial.heard
    assert 1 == end.exit_code


async def _it_is_killed_before_it_is_ready(trial):
    life = trial.launch(WaitsInStart)
    trial.call(life.kill)
    end = await trial.ended(life)
    assert [end] == trial.heard
    assert end.kill_asked


async def _it_is_refused_by_its_listener(trial):
    """A frame that its listener refuses ends the life; nothing that follows is heard."""
    life = await trial.ready()
    trial.refusal = "it asks for the moon"
    trial.call(life.post, [queued(1, ASK, Echo("a"))])
    end = await trial.ended(life)
    assert end.kill_asked
    assert trial.refusal in end.wire_error
