"""Object detection and instance segmentation, with mmdet's networks."""
