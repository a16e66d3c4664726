"""Control: the socket through which an operator looks into a running tree and acts on it."""
