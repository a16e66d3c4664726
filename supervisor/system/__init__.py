"""The operating system: /proc, reaping, orphans, signals, out-of-memory counts."""
