"""The presets that come with sightsmith, one YAML file each."""

if __name__ == "presets":
    raise ImportError("import sightsmith.presets instead: a bare 'presets' would be a second copy of the same modules")
