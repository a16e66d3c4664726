"""Testing: run an actor in the test's process, on a virtual clock, with the semantics it has in a process.

    async with inline(Counter, 10) as ref:
        assert await ref.ask(Add(5)) == 15
        await clock.advance(60)

The parts are in `supervisor.testing`. This module is the one in `actors` that imports `supervisor`: a test looks for it
beside `Actor`, and nothing that runs in an actor's process imports it.
"""

from supervisor.testing.clock import LoopClock
from supervisor.testing.inline import inline
from supervisor.testing.killing import kill

__all__ = ["clock", "inline", "kill"]

clock = LoopClock()
"""The clock of the running test; move it with `await clock.advance(seconds)`."""
