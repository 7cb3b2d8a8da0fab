"""How a trained model of mmdet or mmsegmentation is called, in words."""

from __future__ import annotations

from typing import Any

from sightsmith.plugin import Model


def described(model: Model, channels: int, size: int, returned: str) -> dict[str, Any]:
    """The entries of ``Task.describe_model``; ``returned`` are those of the data samples that the model returns."""
    preprocessor, normal = model.data_preprocessor, {}
    if preprocessor._enable_normalize:
        turned = getattr(preprocessor, "channel_conversion", getattr(preprocessor, "_channel_conversion", False))
        for name in ("mean", "std"):
            values = (getattr(preprocessor, name).flatten().cpu() / 255).tolist()  # in the order of the network
            normal[name] = [round(value, 6) for value in (values[::-1] if turned else values)]
    return {
        "input": f"a list of images ({channels}, height, width) uint8 from 0 to 255"
                 + (", RGB, grey in all three" if channels == 3 else "")
                 + f", whose longer side has {size} px; and for each a data sample with img_shape, ori_shape and "
                 "scale_factor",
        **normal, "call": "model.test_step({'inputs': images, 'data_samples': samples})",
        "returns": f"the data samples, with {returned}"}
