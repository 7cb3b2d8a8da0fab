"""A run on disk: its folder, lockfile, checkpoints and starting weights."""
