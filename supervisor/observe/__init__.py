"""What a tree tells: reports, events, dead letters, the journal."""
