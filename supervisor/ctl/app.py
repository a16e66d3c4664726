"""App: `actorctl` with all of its verbs, which add themselves when they are imported."""

from supervisor.ctl.verbs import act, look, page, run  # noqa: F401 - as said
from supervisor.ctl.verbs.group import actorctl

__all__ = ["actorctl"]
