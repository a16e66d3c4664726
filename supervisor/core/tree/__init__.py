"""The supervision machine: events in, commands out. Pure."""
