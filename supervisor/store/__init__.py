"""Store: keeps messages and states over the death of the daemon. Public is what `__all__` lists."""

from supervisor.store.errors import StoreBusy, StoreError
from supervisor.store.port import Store
from supervisor.store.sqlite.sqlite_store import SQLiteStore

__all__ = ["SQLiteStore", "Store", "StoreBusy", "StoreError"]
