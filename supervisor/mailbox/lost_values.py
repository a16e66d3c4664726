"""Lost values: what a sender or an asker is told where the daemon could not take a value in shared memory.

It had no descriptor left as the value came. The actor that passed it has done nothing wrong.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.errors import ActorCrashed, MailboxFull
from actors.wire.framing import Carried, SharedAttachment

_REMEDY = (
    "`close()` values that are done with, pass fewer at once, or raise the limit of descriptors of the daemon "
    "(ulimit -n, LimitNOFILE=); /proc/<pid>/fd shows what it has open"
)


def check_arrived(name: str, path: str, attachments: Sequence[Carried]) -> None:
    """Check that all values of a message of an actor have arrived.

    Raises:
        MailboxFull: the daemon had no descriptor left for some.
    """
    if lost := _lost(attachments):
        raise MailboxFull(f"{lost}; {name} for {path} was not sent. {_REMEDY}")


def reply_lost(name: str, path: str, attachments: Sequence[Carried]) -> ActorCrashed | None:
    """The error of an asker whose reply, or next item, has come without all of its values; None where all are there."""
    lost = _lost(attachments)
    if not lost:
        return None
    text = f"{path} has handled {name}, and what it replied was lost: {lost}. The actor lives on. {_REMEDY}"
    return ActorCrashed(text, started=True, finished=True)


def item_lost(name: str, path: str, attachments: Sequence[Carried]) -> ActorCrashed | None:
    """As `reply_lost`, of the reader of a stream, which ends."""
    lost = _lost(attachments)
    if not lost:
        return None
    text = f"the stream of {name} from {path} ends, since an item was lost: {lost}. The actor lives on. {_REMEDY}"
    return ActorCrashed(text, started=True, finished=False)


def _lost(attachments: Sequence[Carried]) -> str:
    """What of these has not come, in words; empty where all of it has."""
    lost = [one for one in attachments if isinstance(one, SharedAttachment) and one.lost]
    if not lost:
        return ""
    many = "a value" if len(lost) == 1 else f"{len(lost)} values"
    return f"the daemon had no descriptor left for {many} in shared memory of {sum(one.size for one in lost)} bytes"
