"""Act: the verbs that change something: tell, ask, start, stop, restart, resize, dead."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from supervisor.control.look.words import count
from supervisor.ctl.client import Client
from supervisor.ctl.text import letter_rows, table
from supervisor.ctl.verbs.completion import NAME
from supervisor.ctl.verbs.group import (
    actorctl,
    client_of,
    daemon_option,
    json_option,
    print_json,
    print_lines,
    say,
    width,
)

BODY_HELP = "JSON is an object with the message's fields; '-' reads it from standard input."


@actorctl.command(epilog=BODY_HELP)
@click.argument("name", type=NAME)
@click.argument("message")
@click.argument("body", metavar="[JSON]", default="{}")
@daemon_option
@json_option
def tell(name: str, message: str, body: str, daemon: str | None, *, as_json: bool) -> None:
    """Send MESSAGE to the actor NAME.

    Returns when its mailbox has it.
    """
    _do(daemon, lambda client: client.tell(name, message, _body(body)), as_json=as_json)


@actorctl.command(epilog=BODY_HELP)
@click.argument("name", type=NAME)
@click.argument("message")
@click.argument("body", metavar="[JSON]", default="{}")
@click.option("-t", "--timeout", type=click.FloatRange(0, 1e9), default=5.0, show_default=True, help="Seconds.")
@daemon_option
@json_option
def ask(name: str, message: str, body: str, daemon: str | None, *, timeout: float, as_json: bool) -> None:  # noqa: ARG001 - a reply is JSON anyway
    """Send MESSAGE to the actor NAME and print its reply.

    The reply is JSON; exit code 5 when there is none in time.
    """
    with client_of(daemon) as client:
        say(client.ask(name, message, _body(body), timeout=timeout))


@actorctl.command()
@click.argument("name", type=NAME)
@daemon_option
@json_option
def start(name: str, daemon: str | None, *, as_json: bool) -> None:
    """Start a child that is down; returns when it is ready."""
    _do(daemon, lambda client: client.start(name), as_json=as_json)


@actorctl.command()
@click.argument("name", type=NAME)
@daemon_option
@json_option
def stop(name: str, daemon: str | None, *, as_json: bool) -> None:
    """Stop a child until it is started.

    What waits for it becomes dead letters; of one process of a pool it is for the others.
    """
    _do(daemon, lambda client: client.stop(name), as_json=as_json)


@actorctl.command()
@click.argument("name", type=NAME)
@daemon_option
@json_option
def restart(name: str, daemon: str | None, *, as_json: bool) -> None:
    """Give NAME new processes; an actor's messages stay.

    An actor or a pool is recycled: what waits stays, and a message that is being handled has its shutdown= to end. Any
    other child is stopped and started.
    """
    _do(daemon, lambda client: client.restart(name), as_json=as_json)


@actorctl.command()
@click.argument("name", type=NAME)
@click.argument("size", type=click.IntRange(1))
@daemon_option
@json_option
def resize(name: str, size: int, daemon: str | None, *, as_json: bool) -> None:
    """Give a pool another number of processes; nothing is lost."""
    _do(daemon, lambda client: client.resize(name, size), as_json=as_json)


@actorctl.group(invoke_without_command=True)
@daemon_option
@json_option
@click.pass_context
def dead(ctx: click.Context, daemon: str | None, *, as_json: bool) -> None:
    """Work dead letters: messages that no actor handled. Without a verb, list them all."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(dead_list, name="", daemon=daemon, as_json=as_json)
    else:
        ctx.default_map = {verb: {"daemon": daemon, "as_json": as_json} for verb in dead.commands}


@dead.command("list")
@click.argument("name", type=NAME, default="")
@daemon_option
@json_option
def dead_list(name: str, daemon: str | None, *, as_json: bool) -> None:
    """List the dead letters of NAME, or all."""
    with client_of(daemon) as client:
        found = client.dead(name)
    if as_json:
        for letter in found.letters:
            print_json(letter)
    elif found.letters:
        print_lines(table(letter_rows(found.letters), width(), right=(0, 1)))
    else:
        click.echo("no dead letters")
    if found.lost and not as_json:
        click.echo(f"{found.lost} older ones are not kept any more")


@dead.command()
@click.argument("letter", metavar="ID")
@daemon_option
@json_option
def show(letter: str, daemon: str | None, *, as_json: bool) -> None:
    """Show one dead letter with its message."""
    with client_of(daemon) as client:
        found = client.dead_letter(letter)
    if as_json:
        print_json(found)
        return
    say(f"{found.message_type} to {found.actor} from {found.sender or 'the daemon'}")
    say(f"{found.reason}: {found.detail}; {_begun(found.deliveries)}")
    say(found.body if found.body is not None else "its content is not kept")


@dead.command()
@click.argument("letters", metavar="ID...", nargs=-1, required=True)
@daemon_option
@json_option
def requeue(letters: tuple[str, ...], daemon: str | None, *, as_json: bool) -> None:
    """Send the messages of dead letters to their actors again."""
    _do(daemon, lambda client: client.requeue(*letters), as_json=as_json)


@dead.command()
@click.argument("letters", metavar="ID...", nargs=-1, required=True)
@daemon_option
@json_option
def drop(letters: tuple[str, ...], daemon: str | None, *, as_json: bool) -> None:
    """Drop dead letters for good."""
    _do(daemon, lambda client: client.drop(*letters), as_json=as_json)


def _do(daemon: str | None, deed: Callable[[Client], str], *, as_json: bool) -> None:
    with client_of(daemon) as client:
        detail = deed(client)
    if as_json:
        print_json({"detail": detail})
    else:
        say(detail)


def _begun(deliveries: int) -> str:
    return f"begun {count(deliveries, 'time')}" if deliveries else "no handler has begun it"


def _body(body: str) -> str:
    return sys.stdin.read() if body == "-" else body
