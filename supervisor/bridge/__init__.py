"""Bridge: queues and events of multiprocessing, awaited on an asyncio loop; useful without any actor.

Nothing that can block runs on the event loop's thread. Cancelling any of these loses no item.
"""

from supervisor.bridge.event import AsyncEvent, await_event
from supervisor.bridge.queue_bridge import AsyncQueueBridge
from supervisor.bridge.waiting import BridgeClosed

__all__ = ["AsyncEvent", "AsyncQueueBridge", "BridgeClosed", "await_event"]
