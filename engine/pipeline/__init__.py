"""What the commands do with a run, each a sequence of steps."""
