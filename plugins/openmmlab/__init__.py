"""Shared by the tasks that use OpenMMLab's packages."""
