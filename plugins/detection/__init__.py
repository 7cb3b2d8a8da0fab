"""Object detection and instance masks, with mmdet's networks."""
