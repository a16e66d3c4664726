"""SQLite as a store: its thread, its file, and the SQL of writes and reads."""
