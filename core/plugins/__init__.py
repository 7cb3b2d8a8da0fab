"""The hooks, and the manager that finds plugins and calls them."""
