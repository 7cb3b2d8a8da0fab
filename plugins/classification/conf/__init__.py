"""Hydra groups of the classification task."""
