"""Bridge: multiprocessing's queues and events, awaited on an asyncio loop; usable without any actor.

Nothing that can block runs on the event loop's thread. Cancelling a wait loses no item.
"""

from supervisor.bridge.event import AsyncEvent, await_event
from supervisor.bridge.queue_bridge import AsyncQueueBridge
from supervisor.bridge.waiting import BridgeClosed

__all__ = ["AsyncEvent", "AsyncQueueBridge", "BridgeClosed", "await_event"]
