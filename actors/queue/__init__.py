"""Queue: multiprocessing.Queue's interface without any lock between processes."""

from typing import TYPE_CHECKING

from actors.lazy import lazy_names

if TYPE_CHECKING:
    from actors.queue.safe_queue import Putting, SafeQueue

__all__ = ["Putting", "SafeQueue"]

__getattr__, __dir__ = lazy_names(
    __name__, {"Putting": "actors.queue.safe_queue", "SafeQueue": "actors.queue.safe_queue"}
)
