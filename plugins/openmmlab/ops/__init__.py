"""mmcv's operators from torchvision and torch: the signatures of ``mmcv._ext``, with no compiler.

The functions take the arguments that ``mmcv/ops/*.py`` of mmcv 2.1 hand to the compiled module, on any device, and
write their results into the output tensors passed in. Nothing here is called directly: ``extension`` registers it,
and ``mmcv.ops`` stays the interface.
"""
