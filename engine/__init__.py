"""The engine: does the work; knows no task, no network and no file format."""

if __name__ == "engine":
    raise ImportError("import it as sightsmith.engine: a bare 'engine' would be a second copy of the same modules")
