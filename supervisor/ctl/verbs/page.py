"""Page: the verb `web`: a live page of a daemon in the browser."""

from __future__ import annotations

import signal

import click

from supervisor.ctl.interrupt import ends_at_once
from supervisor.ctl.verbs.group import actorctl, client_of, daemon_option, json_option, print_json

EXTRA = "actorctl web needs starlette, uvicorn and sse-starlette: pip install 'actor-supervisor[web]'"
PORT = 8712
NEEDED = frozenset({"starlette", "uvicorn", "sse_starlette", "anyio", "h11"})


@actorctl.command()
@click.option("-p", "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--name", "names", multiple=True, metavar="HOST", help="A name of this page in browsers, if not localhost."
)
@daemon_option
@json_option
@ends_at_once(signal.SIGINT, signal.SIGTERM)
def web(daemon: str | None, host: str, port: int, names: tuple[str, ...], *, as_json: bool) -> None:
    """Show the tree live in the browser, until Ctrl-C.

    Prints the URL, which has the key in it: who has it can look, restart and stop. Only this machine reaches it.
    """
    try:
        from supervisor.ctl.web.serve import serve  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in NEEDED:
            raise
        raise click.UsageError(EXTRA) from None
    with client_of(daemon) as client:  # no daemon is said before anything is served
        path, tree = client.path, client.identify()

    def say(url: str) -> None:
        if as_json:
            print_json({"url": url})
        else:
            click.echo(f"{url}\nshows {tree.tree} (pid {tree.pid}) until Ctrl-C")

    serve(path, host, port, names, say)
