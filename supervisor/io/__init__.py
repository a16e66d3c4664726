"""Threads and loop callbacks that read and write descriptors."""
