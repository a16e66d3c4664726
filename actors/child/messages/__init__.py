"""Messages: what one life receives, what it answers, and what it sends to others."""
