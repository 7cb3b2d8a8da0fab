"""Hydra groups that are not a plugin's own."""

if __name__ == "conf":
    raise ImportError("import sightsmith.conf instead: a bare 'conf' would be a second copy of the same modules")
