"""Starting weights: read from a file without executing it, matched to a model, reported."""
