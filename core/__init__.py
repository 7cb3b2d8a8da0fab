"""The engine: knows no task, no network and no OpenMMLab package."""

if __name__ == "core":
    raise ImportError("import it as sightsmith.core: a bare 'core' would be a second copy of the same modules")
