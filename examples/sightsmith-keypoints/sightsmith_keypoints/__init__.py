"""Keypoints, as a task type of sightsmith."""
