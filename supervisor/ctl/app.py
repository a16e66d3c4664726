"""App: `actorctl` with all of its verbs, which add themselves when they are imported."""

from supervisor.ctl.verbs import act, look, page, run
from supervisor.ctl.verbs.group import actorctl

__all__ = ["actorctl"]

VERBS = act, look, page, run  # a use: with lazy imports (3.15) nothing else would import them
