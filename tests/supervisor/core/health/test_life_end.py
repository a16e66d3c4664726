"""The facts about the end of a life."""

from __future__ import annotations

import pytest

from actors.wire.progress import NOTHING_BEGUN, Progress
from supervisor.core.health.life_end import LifeEnd

BUSY = Progress(begun=3, active=frozenset({3}), since=1, handler=0)
IDLE = Progress(begun=3, active=frozenset(), since=1, handler=0)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"exit_code": -11, "progress": BUSY}, True),
        ({"exit_code": -9, "progress": BUSY, "kill_asked": True}, True),
        ({"exit_code": -9, "progress": IDLE, "kill_asked": True}, True),
        ({"exit_code": -9, "progress": IDLE}, False),
        ({"exit_code": -9, "progress": IDLE, "kill_asked": True, "wire_error": "it broke the protocol"}, False),
        ({"exit_code": 1, "progress": NOTHING_BEGUN}, False),
    ],
)
def test_whether_a_message_ended_it(facts, expected):
    assert LifeEnd(pid=1, **facts).with_its_message is expected
