"""Look: the verbs that show something and change nothing: ps, tree, why, stacks, events, metrics."""

from __future__ import annotations

import sys
import textwrap
import time

import click

from supervisor.control.frames import Explanation
from supervisor.ctl.daemons import Daemon, daemons
from supervisor.ctl.errors import ExitCode
from supervisor.ctl.text import duration, event_line, stacks_text, table, tree_lines
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


@actorctl.command()
@json_option
@click.pass_context
def ps(ctx: click.Context, *, as_json: bool) -> None:
    """List the daemons of this user.

    Exit code 3 when there is none.
    """
    found = daemons()
    if as_json:
        for daemon in found:
            print_json({"socket": str(daemon.path), "identity": daemon.identity, "trouble": daemon.trouble or None})
    elif found:
        rows = [("PID", "TREE", "HEALTH", "RUN", "UP", "COMMAND"), *map(_row, found)]
        print_lines(table(rows, width(), right=(0, 4)))
    else:
        click.echo("no daemon of yours has a control socket; Supervisor(..., control='auto') gives it one", err=True)
    ctx.exit(ExitCode.DONE if found else ExitCode.NO_DAEMON)


def _row(daemon: Daemon) -> tuple[str, ...]:
    identity = daemon.identity
    if identity is None:
        return (daemon.pid, daemon.tree, "no answer", "", "", daemon.trouble)
    run = f"{identity.running}/{identity.children}"
    up = duration(time.time() - identity.started)
    return (daemon.pid, daemon.tree, identity.health.status.value, run, up, " ".join(identity.argv))


@actorctl.command()
@daemon_option
@json_option
def tree(daemon: str | None, *, as_json: bool) -> None:
    """Show the tree: states, lives, queues, what each child does."""
    with client_of(daemon) as client:
        now = client.tree()
    if as_json:
        print_json(now)
    else:
        print_lines(tree_lines(now.root, width()))


@actorctl.command()
@daemon_option
def top(daemon: str | None) -> None:
    """Show the tree live, full screen; `?` shows the keys."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "top needs a terminal, and this is none; `actorctl ps` and `actorctl tree` print once, `events -f` goes on"
        )
    with client_of(daemon) as client:  # no daemon is said before the screen is taken
        path = client.path
    try:
        from supervisor.ctl.top import Top  # noqa: PLC0415 - textual is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"textual", "rich"}:
            raise
        raise click.UsageError("top needs textual: pip install 'actor-supervisor[cli]'") from None
    Top(path).run()


@actorctl.command()
@click.argument("name", type=NAME, default="")
@click.option("--report", is_flag=True, help="Also print the report of its last death, with tracebacks and stacks.")
@daemon_option
@json_option
def why(name: str, daemon: str | None, *, report: bool, as_json: bool) -> None:
    """Say in one sentence why NAME is as it is, and what to do.

    Without NAME: of each child that is not well.
    """
    with client_of(daemon) as client:
        found = client.why(name)
    for one in found:
        if as_json:
            print_json(one)
        else:
            _print_sentence(one, report=report)


def _print_sentence(one: Explanation, *, report: bool) -> None:
    print_lines(textwrap.wrap(one.sentence, min(width(), 100), break_long_words=False, break_on_hyphens=False))
    if report:
        say(one.report or "no life of it has ended yet")


@actorctl.command()
@click.argument("name", type=NAME)
@click.option("--full", is_flag=True, help="Print file names in full.")
@daemon_option
@json_option
def stacks(name: str, daemon: str | None, *, full: bool, as_json: bool) -> None:
    """Show where the code of NAME is now, without stopping it.

    All threads and tasks, also inside C code; of a pool, each of its processes.
    """
    with client_of(daemon) as client:
        found = client.stacks(name)
    for one in found:
        if as_json:
            print_json(one)
        else:
            say(stacks_text(one, full=full))


@actorctl.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with those that come, until the tree is down.")
@click.option("-n", "--last", type=click.IntRange(0), default=100, show_default=True, help="How many past ones.")
@daemon_option
@json_option
def events(daemon: str | None, *, follow: bool, last: int, as_json: bool) -> None:
    """Show starts, deaths, slow handlers and give-ups."""
    with client_of(daemon) as client:
        for occurred in client.events(last, follow=follow):
            if as_json:
                print_json(occurred)
            else:
                say(event_line(occurred))


@actorctl.command()
@daemon_option
@json_option
def metrics(daemon: str | None, *, as_json: bool) -> None:
    """Print the metrics as Prometheus reads them."""
    with client_of(daemon) as client:
        text = client.metrics()
    if as_json:
        print_json(text)
    else:
        click.echo(text, nl=False)
