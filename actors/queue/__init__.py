"""Queue: multiprocessing.Queue's interface without any lock between processes."""

from actors.queue.safe_queue import Putting, SafeQueue

__all__ = ["Putting", "SafeQueue"]
