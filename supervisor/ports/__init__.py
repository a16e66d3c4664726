"""What the tree needs from its surroundings, as interfaces: code that uses one does not know the implementation."""
