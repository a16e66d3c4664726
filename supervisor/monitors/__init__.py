"""Monitors: what looks at one life while it runs: hangs, slow handlers, limits, a start that takes long."""
