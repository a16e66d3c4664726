"""A daemon for an operator, as `operated`, with its worker alone."""

from __future__ import annotations

import asyncio

from supervisor import ChildSpec, Supervisor
from tests.support.operated import Worker, serve

if __name__ == "__main__":
    asyncio.run(serve(Supervisor(ChildSpec(Worker, name="worker"), control="auto", spares=0)))
