"""Network records, and the networks of a model zoo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from sightsmith.core.contracts.annotation import Annotation
from sightsmith.core.contracts.record import Record
from sightsmith.core.contracts.weights import PublishedWeights
from sightsmith.core.util.errors import UserError, near


@dataclass(frozen=True)
class Score:
    """A published score: ``Score("box AP", 40.9, "COCO", "mmdet metafile")``; ``value`` is in percent.

    Scores with the same ``metric`` and ``dataset`` are comparable; ``source`` is the publication.
    """

    metric: str
    value: float
    dataset: str
    source: str

    def __str__(self) -> str:
        return f"{self.metric} {self.value}"

    @property
    def benchmark(self) -> str:
        return f"{self.metric} on {self.dataset}"


@dataclass(frozen=True, kw_only=True)
class NetworkRecord(Record):
    """A network. The task defines its builder's signature as a protocol, such as
    :class:`sightsmith.plugins.classification.model.ClassifierBuilder`.

    ``parameters`` is the parameter count with the published number of classes; ``score`` the published score;
    ``gflops`` per image; ``speed`` a published time with its hardware, as text; ``input_size`` in pixels (height and
    width), ``min_size`` the smallest that works (None: ``input_size``); ``weights`` names the published weights,
    ``pretrained`` what they were trained on: a data set, or "backbone" if they are only that. ``published`` is the
    builder of a function ``(record, network.config) -> Iterable[PublishedWeights]``, the best first. ``annotation`` is
    the kind that it trains on if not the task's. For a record that represents a model zoo, ``zoo`` is the builder of a
    function ``() -> Iterable[ZooNetwork]`` that imports no heavy library; ``network.config`` chooses one of its
    networks. ``recipe`` is the builder of what its authors trained it with: a :class:`.RecipeRecord`'s.
    ``learning_rate`` is AdamW's for fine-tuning it with steps of 16 images, if it needs one of its own.
    """

    task: str
    family: str
    parameters: int
    input_size: int
    min_size: int | None = None
    score: Score | None = None
    gflops: float | None = None
    speed: str = ""
    weights: str = ""
    pretrained: str = ""
    published: str | None = None
    licence: str = ""
    annotation: Annotation | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    zoo: str | None = None
    recipe: str | None = None
    learning_rate: float | None = None

    BUILDERS: ClassVar[tuple[str, ...]] = ("builder", "published", "zoo", "recipe")

    @cached_property
    def zoo_networks(self) -> dict[str, ZooNetwork]:
        """The options of ``network.config``, by name; empty if the record is a single network."""
        return {entry.name: entry for entry in self.part("zoo").make()} if self.zoo else {}

    def published_weights(self, config: str | None) -> Iterable[PublishedWeights]:
        """What is published for this network, the best first."""
        return self.part("published").make(self, config) if self.published else ()

    def annotation_of(self, config: str | None) -> Annotation | None:
        """The annotation that the network trains on with ``network.config=config``; None for the task's.

        Raises UserError if ``config`` is missing, not allowed, or not a trainable network of the zoo.
        """
        if self.zoo is None:
            if config is not None:
                raise UserError(f"network.config={config}: network={self.name} is one network, not a zoo",
                                hint="leave network.config out, or choose a network that is a model zoo")
            return self.annotation
        known = self.zoo_networks
        hint = f"`sightsmith list networks --task {self.task}` shows all {len(known)}"
        if config is None:
            example = next(name for name, entry in known.items() if entry.trainable)
            raise UserError(f"network={self.name} is a model zoo: choose one of its networks with network.config",
                            hint=f"for example network.config={example}; {hint}")
        if config not in known:
            raise UserError(f"network.config={config}: unknown network.{near(config, list(known))}", hint=hint)
        if known[config].trainable is False:
            raise UserError(f"network.config={config} cannot be trained here: {known[config].reason}", hint=hint)
        return known[config].annotation


@dataclass(frozen=True)
class ZooNetwork:
    """A network of a zoo; ``reason`` says why it is not ``trainable``. ``trainable`` is None if untested.
    ``pretrained`` as in :class:`NetworkRecord`."""

    name: str
    annotation: Annotation | None = None
    trainable: bool | None = True
    reason: str = ""
    pretrained: str = ""
