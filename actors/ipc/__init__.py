"""Kernel objects that the daemon and one actor both hold: pipes, the black box, the output pipe."""
