"""How messages find mailboxes: refs, the registry, topics, what actors ask of the tree."""
