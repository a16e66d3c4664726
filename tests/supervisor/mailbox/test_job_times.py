"""The times of jobs, by the timers of any loop."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from supervisor import Routing
from supervisor.core.delivery.messages import Classes
from supervisor.core.delivery.queue import MessageQueue
from supervisor.core.delivery.routing import Router
from supervisor.mailbox.consumers import Consumers
from supervisor.mailbox.timers import JobTimes

uvloop = pytest.importorskip("uvloop")
uvloop.new_event_loop().close()  # its first loop makes a pipe that the process keeps


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_job_is_watched_while_the_time_of_another_is_over_at_once(new_loop):
    """On uvloop a timer of less than half a millisecond is none."""

    async def watch() -> None:
        queue = partial(MessageQueue, Classes({}, []))
        times = JobTimes(
            asyncio.get_running_loop(), Consumers(Router(Routing.LEAST_LOADED, None), queue, 1, time.monotonic)
        )
        late: list[int] = []
        for number, seconds in enumerate((0.0001, 5.0, 0.0002)):
            times.watch([number], seconds, late.append)
        times.forget(range(3))
        assert not late

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(watch())
