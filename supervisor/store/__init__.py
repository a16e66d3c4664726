"""Store: keeps messages and states over the death of the daemon. Public is what `__all__` lists."""

from typing import TYPE_CHECKING

from actors.lazy import lazy_names
from supervisor.store.errors import StoreBusy, StoreError
from supervisor.store.port import Store

if TYPE_CHECKING:
    from supervisor.store.sqlite.sqlite_store import SQLiteStore

__all__ = ["SQLiteStore", "Store", "StoreBusy", "StoreError"]

__getattr__, __dir__ = lazy_names(__name__, {"SQLiteStore": "supervisor.store.sqlite.sqlite_store"})
