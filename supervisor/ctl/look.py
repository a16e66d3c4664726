"""Look: the verbs that show something and change nothing: ps, tree."""

from __future__ import annotations

import sys
import time

import click

from supervisor.ctl.app import actorctl, client_of, daemon_option, json_option, print_json, print_lines, width
from supervisor.ctl.daemons import Daemon, daemons
from supervisor.ctl.errors import ExitCode
from supervisor.ctl.text import duration, table, tree_lines


@actorctl.command()
@json_option
def ps(*, as_json: bool) -> None:
    """List the daemons of this user; exit code 3 when there is none."""
    found = daemons()
    if as_json:
        for daemon in found:
            print_json({"socket": str(daemon.path), "identity": daemon.identity, "trouble": daemon.trouble or None})
    elif found:
        rows = [("PID", "TREE", "HEALTH", "RUN", "UP", "COMMAND"), *map(_row, found)]
        print_lines(table(rows, width(), right=(0, 4)))
    else:
        click.echo("no daemon of yours has a control socket; Supervisor(..., control='auto') gives it one", err=True)
    sys.exit(ExitCode.DONE if found else ExitCode.NO_DAEMON)


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
    """Show the whole tree: states, lives, queues, what each actor does."""
    with client_of(daemon) as client:
        now = client.tree()
    if as_json:
        print_json(now)
    else:
        print_lines(tree_lines(now.root, width()))
