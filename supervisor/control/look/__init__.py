"""Look: what an operator is shown: names, events, dead letters, samples, stacks, and why something is as it is."""
