"""Semantic segmentation: the class of every pixel, with mmsegmentation's networks."""
