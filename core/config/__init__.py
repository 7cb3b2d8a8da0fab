"""Composition of the configuration; the only package that knows the internals of Hydra."""
