"""The web: `GET /search?q=`, answered by the index actor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from actors import ActorRef, DeliveryError, Rejected
from examples.codesearch.messages import Search

FORM = """<!doctype html><meta charset="utf-8"><title>codesearch</title>
<form action="/search"><input name="q" size="40" autofocus placeholder="event loop"> <button>Search</button></form>"""


@asynccontextmanager
async def serving(index: ActorRef, port: int) -> AsyncGenerator[str, None]:
    """While inside, the index is on the web. Gives the address.

    Raises:
        OSError: the port is in use.
    """

    async def form(_request: web.Request) -> web.Response:
        return web.Response(text=FORM, content_type="text/html")

    async def search(request: web.Request) -> web.Response:
        try:
            hits = await index.ask(Search(request.query.get("q", "")))
        except Rejected as refusal:
            return _json({"error": str(refusal)}, status=400)
        except DeliveryError as error:
            return _json({"error": str(error)}, status=503)
        return _json(hits)

    app = web.Application()
    app.add_routes([web.get("/", form), web.get("/search", search)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, real_port = runner.addresses[0][:2]
        yield f"http://{host}:{real_port}"
    finally:
        await runner.cleanup()


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json", status=status)
