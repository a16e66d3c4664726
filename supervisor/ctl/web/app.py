"""App: what the page's process answers over HTTP.

    GET  /           the page, with the token in it        GET  /page.css, /page.js, /live.js
    GET  /live       the state and what changes, as server-sent events
    GET  /why, /stacks, /letter    one answer of the daemon
    POST /do         a change: {"verb": "restart", "name": "/root/parser"}

Runs on the loop's thread; requests to the daemon block, so each runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import msgspec
from sse_starlette import ServerSentEvent
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.errors import UsageError
from supervisor.ctl.client import Client
from supervisor.ctl.errors import ControlError, ExitCode
from supervisor.ctl.text import stacks_text
from supervisor.ctl.web.feed import Feed
from supervisor.ctl.web.guard import Asked, Guard, Refusal
from supervisor.ctl.web.live import Live
from supervisor.ctl.web.watch import Watch

MAX_BODY: Final = 16 * 1024  # bytes of a change
MAX_DEEDS: Final = 64  # requests to the daemon at once
PING: Final = 15  # seconds between two signs of life to a page
STALL: Final = 10.0  # seconds a page may take to read before its connection ends
POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
OPEN: Final = ("/page.css", "/page.js", "/live.js")  # say nothing of the daemon
TOKEN_PLACE: Final = "{{token}}"  # noqa: S105 - where it stands in the page


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that the page asks for; `name` is a path, or the id of a dead letter."""

    verb: Literal["start", "stop", "restart", "requeue", "drop"]
    name: str


DEEDS: Final[dict[str, Callable[[Client, str], str]]] = {
    "start": Client.start,
    "stop": Client.stop,
    "restart": Client.restart,
    "requeue": Client.requeue,
    "drop": Client.drop,
}


class Page:
    """The page of one daemon.

    Args:
        path: of the daemon's control socket.
        guard: decides which requests are served.
        token: that the page carries.
    """

    def __init__(self, path: Path, guard: Guard, token: str) -> None:
        self.feed = Feed()
        self._path = path
        self._watch: Watch | None = None
        self._deeds = 0
        files = resources.files("supervisor.ctl.web").joinpath("page")
        page = files.joinpath("page.html").read_text("utf-8").replace(TOKEN_PLACE, token)
        self._files = {
            "/": Response(page, media_type="text/html"),
            "/page.css": Response(files.joinpath("page.css").read_bytes(), media_type="text/css"),
            "/page.js": Response(files.joinpath("page.js").read_bytes(), media_type="text/javascript"),
            "/live.js": Response(files.joinpath("live.js").read_bytes(), media_type="text/javascript"),
        }
        self.app = Starlette(
            routes=[
                *(Route(path, self._file) for path in self._files),
                Route("/live", self._live),
                Route("/why", self._why),
                Route("/stacks", self._stacks),
                Route("/letter", self._letter),
                Route("/do", self._do, methods=["POST"]),
            ],
            middleware=[Middleware(Guarded, guard=guard)],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:  # noqa: ARG002 - what Starlette passes
        self._watch = Watch(self._path, self.feed)
        try:
            yield
        finally:
            self._watch.close()

    async def _file(self, request: Request) -> Response:
        return self._files[request.url.path]

    async def _live(self, request: Request) -> Response:  # noqa: ARG002 - what Starlette passes
        return Live(self._sent(), ping=PING, send_timeout=STALL)

    async def _sent(self) -> AsyncIterator[ServerSentEvent]:
        async for part in self.feed.read():
            yield ServerSentEvent(part.data, event=part.kind)

    async def _why(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        return await self._answered(lambda client: "\n\n".join(one.sentence for one in client.why(name)))

    async def _stacks(self, request: Request) -> Response:
        name = request.query_params.get("name", "")
        return await self._answered(lambda client: "\n\n".join(map(stacks_text, client.stacks(name))))

    async def _letter(self, request: Request) -> Response:
        letter = request.query_params.get("id", "")
        return await self._answered(lambda client: client.dead_letter(letter).body or "its content is not kept")

    async def _do(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return JSONResponse({"error": f"a change has at most {MAX_BODY} bytes"}, 413)
        try:
            change = msgspec.json.decode(body, type=Change)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return JSONResponse({"error": f"this is not a change: {error}"}, 400)
        return await self._answered(lambda client: DEEDS[change.verb](client, change.name))

    async def _answered(self, deed: Callable[[Client], str]) -> Response:
        """What the daemon answers, as JSON."""
        if self._watch is None or self._deeds >= MAX_DEEDS:
            return JSONResponse({"error": f"{MAX_DEEDS} requests wait for the daemon, which is the most"}, 503)
        self._deeds += 1
        try:
            return JSONResponse({"text": await _in_thread(self._watch.path, deed)})
        except ControlError as error:
            return JSONResponse({"error": str(error)}, _STATUS.get(error.exit_code, 409))
        except UsageError as error:
            return JSONResponse({"error": str(error)}, 400)
        finally:
            self._deeds -= 1


_STATUS: Final = {ExitCode.NO_DAEMON: 502, ExitCode.NO_SUCH_NAME: 404, ExitCode.NO_ANSWER: 504}


async def _in_thread(path: Path, deed: Callable[[Client], str]) -> str:
    """Ask the daemon in a thread that does not hold up the end of the process: a stop may take an hour."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def settle(text: str, error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(text)
        else:
            answer.set_exception(error)

    def work() -> None:
        text, failure = "", None
        try:
            with Client(path) as client:
                text = deed(client)
        except Exception as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, text, failure)

    threading.Thread(target=work, name="web-deed", daemon=True).start()
    return await answer


class Guarded:
    """Refuses what is not for the page, and gives each answer its headers.

    Args:
        app: what answers.
        guard: decides.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_without(message.get("headers", ())), *HEADERS]
            await send(message)

        refusal = self._refusal(HTTPConnection(scope), scope)
        app = self._app if refusal is None else PlainTextResponse(f"{refusal}\n", 403)
        await app(scope, receive, send_with_headers)

    def _refusal(self, asked: HTTPConnection, scope: Scope) -> Refusal | None:
        headers = asked.headers
        header = headers.get("authorization", "").removeprefix("Bearer ")
        token = header if scope["method"] == "POST" else header or asked.query_params.get("token", "")
        said = Asked(headers.get("host", ""), headers.get("origin", ""), token)
        refusal = self._guard.refusal(said)
        if refusal is None and scope["path"] not in OPEN and not self._guard.knows(said):
            return Refusal.TOKEN
        return refusal


def _without(headers: object) -> list[tuple[bytes, bytes]]:
    """Headers of an answer, less those that all answers get."""
    ours = {name for name, _ in HEADERS}
    return [(name, value) for name, value in headers if name.lower() not in ours]  # type: ignore[attr-defined]
