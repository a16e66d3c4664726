"""What runs in gunicorn's processes: a dirty app that adds numbers up, and a web application that is never asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from gunicorn.dirty import DirtyApp


class Adder(DirtyApp):
    """Runs in a dirty worker; each method is an action."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> int:
        self.total += number
        return self.total

    def take(self, payload: bytes) -> int:
        return len(payload)

    def echo(self, payload: bytes) -> bytes:
        return payload

    def pid(self) -> int:
        return os.getpid()


def web(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """The arbiter wants one."""
    start_response("404 Not Found", [])
    return []
