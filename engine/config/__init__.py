"""Configuration; the only package that knows Hydra's internals."""
