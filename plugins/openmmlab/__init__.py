"""What the tasks on OpenMMLab's packages share."""
