"""Run: `actorctl run MODULE:TREE [--reload]`: a daemon of nothing but a tree, for development and for small services.

    run           one process, see `supervisor.ctl.verbs.tree_program`
    run --reload  that process is a child, see `supervisor.ctl.verbs.reload`

Runs in the main thread of `actorctl`.
"""

from __future__ import annotations

import sys

import click

from supervisor.ctl.verbs.group import actorctl


@actorctl.command()
@click.argument("target", metavar="MODULE:TREE")
@click.option("--reload", is_flag=True, help="Start anew when a Python file below the working directory changes.")
@click.option("--parent", type=int, hidden=True, help="Process id of the `run --reload` with which this one ends.")
def run(target: str, *, reload: bool, parent: int | None) -> None:
    """Run a tree until Ctrl-C or SIGTERM.

    TREE is a Supervisor, a list of specs, or a function without arguments that returns one of these. A tree made of
    specs gets a control socket.
    """
    if reload:
        from supervisor.ctl.verbs.reload import reloading  # noqa: PLC0415 - nothing else needs it

        sys.exit(reloading(target))
    if parent is not None:
        from actors.process.setup import end_with  # noqa: PLC0415 - nothing else needs it

        end_with(parent)
    from supervisor.ctl.verbs.tree_program import run_here  # noqa: PLC0415 - nothing else needs it

    run_here(target)
