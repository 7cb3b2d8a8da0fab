"""Hydra groups of the segmentation task."""
