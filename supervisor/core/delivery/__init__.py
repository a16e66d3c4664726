"""One mailbox's messages: order, flight, fate. Pure."""
