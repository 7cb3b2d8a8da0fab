"""Hydra groups of the detection task."""
