"""Hydra's groups."""
