"""Live: the stream of server-sent events that a page reads.

Runs on the loop's thread.
"""

from __future__ import annotations

from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send


class Live(EventSourceResponse):
    """Ends whole, also where the server is asked to stop, at which sse-starlette leaves a stream as it is.

    The server would say of each open page that its response was not completed.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        begun = ended = False

        async def noted(message: Message) -> None:
            nonlocal begun, ended
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        await super().__call__(scope, receive, noted)
        if not begun:
            await Response(status_code=503)(scope, receive, send)
        elif not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
