"""What a model and its evaluation hand to the engine."""

from __future__ import annotations

from typing import Any, TypeAlias, TypedDict, TypeVar

Model: TypeAlias = Any
"""A ``torch.nn.Module`` in mmengine's BaseModel contract: ``data_preprocessor(batch, training)``,
``forward(inputs, data_samples, mode="loss"|"predict"|"tensor")`` and ``parse_losses(losses)``."""


class SampleResult(TypedDict):
    """What evaluation keeps of one sample: small, picklable, on the CPU. A task adds its own keys in a subclass.

    Nothing in it may depend on the batch that the sample was evaluated in: results are sorted, drawn and compared one
    by one, whatever the number of ranks. ``index`` is the sample's place in the data set. ``loss`` is the sample's own;
    of a network that has only that of a batch it is the batch's, good for the mean of a split and nothing else.
    """

    index: int
    loss: float


class RawPrediction(TypedDict):
    """What a model says of one sample, an image or a tile of it, on the CPU. A task adds its own keys in a subclass."""


ResultT = TypeVar("ResultT", bound=SampleResult)
PredictionT = TypeVar("PredictionT", bound=RawPrediction)
