"""A bank is killed at random instants, and the dead letters of its tree are collected."""

from __future__ import annotations

import asyncio
import os
import random
import signal

from supervisor import ChildStarted, DeadLetter, Supervisor
from tests.support.bank import Pid

LIFE = 0.02  # seconds that a life has at most: the load itself


async def kill_often(root: Supervisor, kills: int, dice: random.Random) -> None:
    """Kill the bank so often, each life at a random instant of it."""
    events = root.events()
    os.kill(await root["bank"].ask(Pid()), signal.SIGKILL)
    async for event in events:
        if isinstance(event, ChildStarted):
            await asyncio.sleep(dice.random() * LIFE)
            os.kill(event.pid or 0, signal.SIGKILL)
            kills -= 1
            if not kills:
                return


async def collect(root: Supervisor, letters: list[DeadLetter]) -> None:
    """Add each dead letter of the tree to a list."""
    async for letter in root.dead_letters():
        assert isinstance(letter, DeadLetter)
        letters.append(letter)
