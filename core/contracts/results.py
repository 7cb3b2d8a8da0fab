"""The types of a model, its evaluation results and its predictions."""

from __future__ import annotations

from typing import Any, TypeAlias, TypedDict, TypeVar

Model: TypeAlias = Any
"""A ``torch.nn.Module`` in mmengine's BaseModel contract: ``data_preprocessor(batch, training)``,
``forward(inputs, data_samples, mode="loss"|"predict"|"tensor")`` and ``parse_losses(losses)``."""


class SampleResult(TypedDict):
    """The evaluation result of one sample: small, picklable, on the CPU. A task adds its own keys in a subclass.

    It must not depend on the batch that the sample was in: results are sorted, resampled and compared one by one,
    whatever the number of ranks. ``index`` is the sample's position in the data set. ``loss`` is the sample's own, or
    the batch's for a network that computes no other, which is valid only for the mean over a split.
    """

    index: int
    loss: float


class RawPrediction(TypedDict):
    """A model's prediction for one sample, an image or a tile, on the CPU. A task adds its own keys in a subclass."""


ResultT = TypeVar("ResultT", bound=SampleResult)
"""A task's own results."""
PredictionT = TypeVar("PredictionT", bound=RawPrediction)
"""A task's own predictions."""
