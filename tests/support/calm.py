"""An actor that does nothing."""

from __future__ import annotations

from actors import Actor


class Calm(Actor):
    pass
