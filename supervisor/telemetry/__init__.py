"""Telemetry: what metrics and tracing read of a running tree. `supervisor.metrics` and `supervisor.tracing` show it."""
