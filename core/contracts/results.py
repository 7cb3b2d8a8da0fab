"""What a model and its evaluation hand to the engine."""

from __future__ import annotations

from typing import Any, TypeAlias

Model: TypeAlias = Any
"""A ``torch.nn.Module`` in mmengine's BaseModel contract: ``data_preprocessor(batch, training)``,
``forward(inputs, data_samples, mode="loss"|"predict"|"tensor")`` and ``parse_losses(losses)``."""


SampleResult = dict[str, Any]
"""What evaluation keeps of one sample: small, picklable, on the CPU; ``index`` is the sample's place."""


RawPrediction = dict[str, Any]
"""What a model says of one sample, an image or a tile of it, on the CPU."""
