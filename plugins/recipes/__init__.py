"""Recipes: where hyperparameters that are not set come from."""
