"""Health for a load balancer, with FastAPI: /healthz: leave the daemon alone? /readyz: send it work?

uvicorn examples.health_fastapi:app
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from actors import Actor, Message, handles
from supervisor import ChildSpec, Supervisor


class Add(Message[int]):
    amount: int


class Counter(Actor):
    def __init__(self) -> None:
        self.total = 0

    def health(self) -> str | None:
        return "it counts below zero" if self.total < 0 else None

    @handles
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[dict[str, Supervisor], None]:
    """The tree of this server process; the server itself takes the signals."""
    async with Supervisor(ChildSpec(Counter), on_give_up="sigterm") as root:
        yield {"root": root}
        await root.drain(timeout=30.0)


app = FastAPI(lifespan=lifespan)


@app.get("/healthz")
async def healthz(request: Request) -> PlainTextResponse:
    """Whether to leave the daemon alone."""
    health = request.state.root.health()
    return PlainTextResponse(f"{health}\n", 200 if health.alive else 503)


@app.get("/readyz")
async def readyz(request: Request) -> PlainTextResponse:
    """Whether to send it work."""
    health = request.state.root.health()
    return PlainTextResponse(f"{health}\n", 200 if health.ready else 503)


@app.post("/add/{amount}")
async def add(amount: int, request: Request) -> int:
    """Count."""
    total: int = await request.state.root["counter"].ask(Add(amount))
    return total
