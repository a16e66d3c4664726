"""Killing: end an actor's life from outside, as `kill -9` does; in a process or inline.

Runs on the thread of the test's loop.
"""

from __future__ import annotations

import contextlib
import os
import signal

from actors.bounds import shown
from actors.errors import UsageError
from actors.ref import ActorRef
from supervisor.messaging.refs import MailboxRef
from supervisor.process.life import ProcessLife
from supervisor.testing.life import InlineLife


def kill(ref: ActorRef) -> None:
    """Kill what serves an actor now, as `kill -9` does: its process, or all of a pool; inline its life.

    Returns at once. What is sent from now on reaches the next life.

    Args:
        ref: of the actor, from the tree: `root["name"]`.

    Raises:
        UsageError: it is no ref, the ref is of no tree in this process, or the actor is down.
    """
    if not isinstance(ref, ActorRef):
        raise UsageError(f"kill takes the ref of an actor: kill(root['indexer']); it is {shown(ref)}")
    lives = list(ref.mailbox.consumers.served.values()) if isinstance(ref, MailboxRef) else []
    if not lives:
        raise UsageError(f"{ref.path} is not served now, so there is nothing to kill; await an answer of it first")
    for life in lives:
        if isinstance(life, InlineLife):
            life.be_killed()
        elif isinstance(life, ProcessLife) and life.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(life.pid, signal.SIGKILL)
