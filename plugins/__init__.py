"""The plugins that ship with sightsmith; they register like any other plugin."""

if __name__ == "plugins":
    raise ImportError("import sightsmith.plugins instead: a bare 'plugins' would be a second copy of the same modules")
