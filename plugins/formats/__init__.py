"""The dataset formats."""
