"""Recipes: where hyperparameters that nobody sets come from."""
