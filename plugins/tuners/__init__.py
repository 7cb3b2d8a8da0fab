"""The tuners that sightsmith brings."""
