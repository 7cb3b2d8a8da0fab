"""timm's networks for sightsmith."""
