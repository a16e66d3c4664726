"""Protocol: what an actor class handles and keeps, read and checked before any process exists."""
