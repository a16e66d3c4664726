"""Health for a load balancer, with aiohttp: /healthz: leave the daemon alone? /readyz: send it work?

    python examples/health_aiohttp.py 8080

SIGTERM drains: /readyz fails at once, what was sent is finished, then the server ends.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

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


def application(root: Supervisor) -> web.Application:
    """The routes of one tree."""

    async def healthz(_: web.Request) -> web.Response:
        health = root.health()
        return web.Response(text=f"{health}\n", status=200 if health.alive else 503)

    async def readyz(_: web.Request) -> web.Response:
        health = root.health()
        return web.Response(text=f"{health}\n", status=200 if health.ready else 503)

    async def add(request: web.Request) -> web.Response:
        return web.json_response(await root["counter"].ask(Add(int(request.match_info["amount"]))))

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.post("/add/{amount}", add)])
    return app


async def main(port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    async with Supervisor(ChildSpec(Counter)) as root:
        runner = web.AppRunner(application(root))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/healthz", flush=True)
        await root.serve(drain=30.0)
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8080))
