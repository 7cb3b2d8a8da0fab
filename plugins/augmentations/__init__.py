"""Augmentations of training images."""
