"""JobResult: reads what a process answers when a job has returned.

Runs on the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from actors.errors import UndecodableMessage
from actors.jobs.jobs import SharingResult
from actors.wire.attachments import decode_sharing
from actors.wire.codec import decoder_of
from actors.wire.framing import Carried

_READ_BYTES: Final = msgspec.msgpack.Decoder(bytes).decode
_READ_SHARING: Final[Callable[[msgspec.Raw], SharingResult]] = decoder_of(SharingResult).decode


class JobResult:
    """Reads the results of one job.

    Args:
        read: decodes the result as the function's annotation says.
        shares: whether values in shared memory may be in it.
    """

    def __init__(self, read: Callable[[msgspec.Raw], Any], *, shares: bool) -> None:
        self._read = read
        self._shares = shares

    def of(self, payload: msgspec.Raw) -> Any:
        """The result in a reply.

        Raises:
            Exception: the bytes are not of the promised type.
        """
        if not self._shares:
            return self._read(msgspec.Raw(_READ_BYTES(payload)))
        result = _READ_SHARING(payload)
        return decode_sharing(self._read, msgspec.Raw(result.data), [one.carried() for one in result.shared])

    def beside(self, attachment: Carried) -> Any:
        """The result in a reply that came as an attachment.

        Raises:
            UndecodableMessage: the bytes are not of the promised type.
        """
        try:
            return self._read(msgspec.Raw(attachment.value))
        except Exception as error:
            raise UndecodableMessage(f"its result does not decode: {error}") from error
