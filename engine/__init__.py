"""The engine: all work that does not depend on a task, network or file format."""

if __name__ == "engine":
    raise ImportError("import sightsmith.engine instead: a bare 'engine' would be a second copy of the same modules")
