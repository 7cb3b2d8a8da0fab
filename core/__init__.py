"""The kernel: contracts, plugin manager and configuration. Imports no torch and no other part of sightsmith."""

if __name__ == "core":
    raise ImportError("import sightsmith.core instead: a bare 'core' would be a second copy of the same modules")
