"""The same program as `actorctl`."""

from supervisor.ctl.main import main

main()
