"""What lives on other machines write: it holds up no loop, and what nobody reads is dropped and counted."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

from actors.wire.log_lines import PRINTED, Record
from supervisor.cluster.agent.relay import RelayListener
from supervisor.cluster.lines import MOST, Lines
from supervisor.cluster.link import wire
from supervisor.cluster.link.link import Link
from supervisor.cluster.link.stock import KeptValues
from supervisor.io.loop_reader import LoopReader
from supervisor.io.pipe_writer import MAX_PIECES
from tests.support.network import tcp_pair
from tests.support.waiting import until

LINE = Record("info", PRINTED, {"stream": "stdout", "text": "a line"})


class Life:
    """Takes lines, each of which takes its time."""

    def __init__(self):
        self.lines = self.dropped = 0

    def pass_on(self, said):
        until = time.perf_counter() + 20e-6
        while time.perf_counter() < until:
            pass
        if isinstance(said, wire.Wrote):
            self.lines += 1
        else:
            self.dropped += said.lines


async def test_a_flood_is_logged_a_little_at_a_time_and_what_is_too_much_is_counted():
    """The loop has turns between."""
    life, lines = Life(), Lines(asyncio.get_running_loop())
    for number in range(MOST + 500):
        lines.add(life, wire.Wrote(1, 1, LINE) if number % 100 else wire.Dropped(1, 1, 7, 70))
    turns = 0
    while life.lines + life.dropped < (MOST + 500) // 100 * 106:
        await asyncio.sleep(0)
        turns += 1
    assert (MOST // 100 * 99, turns > 10) == (life.lines, True)
    lines.add(life, wire.Wrote(1, 1, LINE))
    lines.close()
    assert MOST // 100 * 99 + 1 == life.lines


async def test_lines_that_a_daemon_does_not_read_are_dropped_and_the_link_stays():
    """As when its loop is held up: no life ends over what it writes, and what was lost is told."""
    loop = asyncio.get_running_loop()
    reader = LoopReader(loop)
    got, ends = [], []
    near, far = tcp_pair()
    nothing = {"values": None, "joins_values": True, "on_bytes": print, "on_end": ends.append}
    link = Link(near, reader, on_value=print, on_room=lambda: one.tell_dropped(), **nothing)  # noqa: PLW0108 - made below
    one = RelayListener(1, SimpleNamespace(link=link, kept=KeptValues()))
    total = MAX_PIECES + 100_000
    for _ in range(total):
        one.life_wrote(1, LINE)
    daemon = Link(far, reader, on_value=lambda data: got.append(wire.read_from_agent(data)), on_room=print, **nothing)
    await until(lambda: ends or isinstance(got and got[-1], wire.Dropped), "the count")
    assert (total, []) == (sum(1 if isinstance(one, wire.Wrote) else one.lines for one in got), ends)
    daemon.close()
    link.close()
