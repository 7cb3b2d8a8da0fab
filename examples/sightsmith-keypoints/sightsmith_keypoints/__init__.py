"""Named points of an object, as a task type of sightsmith."""
