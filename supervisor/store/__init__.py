"""Store: keeps messages and states over the death of the daemon. Public is what `__all__` lists."""

from typing import TYPE_CHECKING, Any

from supervisor.store.errors import StoreBusy, StoreError
from supervisor.store.port import Store

if TYPE_CHECKING:
    from supervisor.store.sqlite.sqlite_store import SQLiteStore

__all__ = ["SQLiteStore", "Store", "StoreBusy", "StoreError"]


def __getattr__(name: str) -> Any:
    """Import `SQLiteStore` when it is first used: most daemons, and every actor's process, have no store."""
    if name == "SQLiteStore":
        from supervisor.store.sqlite.sqlite_store import SQLiteStore  # noqa: PLC0415 - it brings sqlite3

        return SQLiteStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
