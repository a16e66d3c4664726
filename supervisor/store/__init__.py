"""Store: keeps messages and states over the death of the daemon. Public is what `__all__` lists."""

from supervisor.store.errors import StoreBusy, StoreError
from supervisor.store.port import Store

__all__ = ["Store", "StoreBusy", "StoreError"]
