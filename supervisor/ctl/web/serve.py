"""Serve: `actorctl web` from its command line to its end: what is refused, the listening socket, uvicorn.

Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import uvicorn

from supervisor.ctl.errors import ControlError, ExitCode
from supervisor.ctl.web.app import Page
from supervisor.ctl.web.guard import Guard, is_loopback

MOST: Final = 256  # connections at once
PATIENCE: Final = 2  # seconds for open requests at the end


class CannotListen(ControlError):
    """The page cannot have its address."""

    exit_code = ExitCode.REFUSED


class _Server(uvicorn.Server):
    """Ends the pages' streams before it waits for their connections."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)


def serve(path: Path, host: str, port: int, names: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Serve the page of one daemon until Ctrl-C or SIGTERM.

    Args:
        path: of the daemon's control socket.
        host: the address to listen at.
        port: 0 for any free one.
        names: of the page in browsers, beside those of the loopback interface.
        say: gets the URL as soon as it can be opened.

    Raises:
        click.UsageError: other machines could reach it, and no name says that they shall.
        CannotListen: the port is taken, or the address is not of this machine.
    """
    if not is_loopback(host) and not names:
        raise click.UsageError(
            f"--host {host} lets other machines reach the page, over plain HTTP. Leave it out and use "
            f"ssh -L {port}:127.0.0.1:{port}; if they shall reach it, name it as their browsers do: --name HOST"
        )
    token = secrets.token_urlsafe(24)
    with _listening(host, port) as listener:
        page = Page(path, Guard(token, names), token)
        config = uvicorn.Config(
            page.app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST,
            timeout_graceful_shutdown=PATIENCE,
        )
        say(_url(names[0] if names and not is_loopback(host) else host, listener.getsockname()[1], token))
        _Server(config, page.feed.close).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"{host}:{port} is in use; take another port, or any free one: --port 0") from None
        raise CannotListen(f"cannot listen at {host}:{port}: {error.strerror or error}") from None


def _url(host: str, port: int, token: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"
