"""Decisions on hangs, lifetime limits and causes of exits. Pure."""
