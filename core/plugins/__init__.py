"""The hooks, and the manager that discovers plugins and calls them."""
