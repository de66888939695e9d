"""Pure functions, tree to tree: maps, conditions and the pipe functions they use."""
