"""How long anything may take. It imports nothing: the processes of actors read it, too."""

DEADLINE = 60.0  # seconds: nothing takes so long, except on a machine that is about to give up
