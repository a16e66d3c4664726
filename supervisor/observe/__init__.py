"""What a tree reports: events, log lines, dead letters, the journal."""
