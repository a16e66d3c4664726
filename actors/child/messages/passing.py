"""Passing: large bytes that one actor sends another pass the daemon in shared memory, which does not read them.

To the daemon itself they take the pipe: it gets them piece by piece, and would be held up by a copy of all of them.

Runs in the actor's process, in any thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.wire.framing import Attachment, Carried


def shared(attachments: Sequence[Carried]) -> Sequence[Carried]:
    """The same values, in shared memory where that is possible."""
    if not any(isinstance(one, Attachment) for one in attachments):
        return attachments
    from actors.ipc.shared_memory import in_shared_memory  # noqa: PLC0415 - only who sends large values needs it

    return tuple(in_shared_memory(one) if isinstance(one, Attachment) else one for one in attachments)
