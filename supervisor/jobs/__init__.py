"""Jobs in the daemon: `run` and `map` of a pool's ref."""
