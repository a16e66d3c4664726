"""Web: `actorctl web`, a live page of one daemon; a process of its own and a client of the control socket."""
