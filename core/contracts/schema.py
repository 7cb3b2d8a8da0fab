"""The typed configuration. Every key, its default, its range and its meaning stand here, once.

The dataclasses are Hydra's schema (an unknown key or a wrong type is refused while composing); every value out of its
range or choices is then reported at once: :func:`sightsmith.core.contracts.schema_values.check_values`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

MANUAL, AUTO = "manual", "auto"


def _value(default: Any, help: str, *, low: float | None = None, high: float | None = None,
           choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def _list(help: str) -> Any:
    return field(default_factory=list, metadata={"help": help})


def _options(help: str) -> Any:
    return field(default_factory=dict, metadata={"help": help})


@dataclass
class TaskConfig:
    """Keys under ``task``. A task adds its own in a subclass, which its record names as ``settings``."""

    name: str = _value(MISSING, "the task: `sightsmith list tasks`")


@dataclass
class DatasetConfig:
    root: str = _value(MISSING, "a folder or zip; `sample` is the task's embedded data set")
    format: str = _value("auto", "a name of `sightsmith list formats`, or auto")
    validation_percentage: float = _value(20.0, "part of the images kept for validation, percent", low=1, high=99)
    group_by: str = _value("auto", "auto (DICOM study where there is one), none, or a regular expression on the path "
                           "whose first group (or whole match) names the group")
    min_images_per_class: int = _value(3, "a class with fewer images is an error", low=1)
    tile: int | None = _value(None, "cut larger images into tiles of this side, pixels, for small objects in large "
                                    "images; null: whole images", low=32, high=4096)
    tile_overlap: float = _value(20.0, "part of its side that a tile shares with the next, percent", low=1, high=50)
    folds: str = _value("none", "cross-validation beside the run: a number of folds, each left out of one more "
                        "training; none; or auto: 5 where validation has fewer than 30 cases")
    repeats: int = _value(1, "how often cross-validation deals the folds out anew", low=1, high=100)
    limit: int | None = _value(None, "use at most this many images, drawn with the seed", low=2)


@dataclass
class ImageConfig:
    """Keys under ``image``: how pictures become the network's input."""

    size: int | None = _value(None, "side of the square network input, pixels; null is the network's own", low=16,
                              high=4096)
    windows: list[Any] = _list("DICOM windows [[centre, width], ...] in the units after rescale; one channel each")
    range: list[Any] | None = _value(None, "[low, high] mapped to black and white for images of more than 8 bits; "
                                       "null: the whole range of the stored integer type")
    mean: list[Any] | None = _value(None, "per channel, 0-1; null: what the network's published weights want")
    std: list[Any] | None = _value(None, "per channel, 0-1; null: what the network's published weights want")


@dataclass
class NetworkConfig:
    """Keys under ``network``: which network, and its starting weights."""

    name: str = _value(MISSING, "a name of `sightsmith list networks`")
    weights: str = _value("imagenet", "starting weights: none, imagenet, or the path of a .safetensors or .pth file")
    options: dict[str, Any] = _options("passed to the network's builder")
    config: str | None = _value(None, "for a network that stands for a whole model zoo: a configuration of it")
    class_renames: dict[Any,
                        Any] = _options("classes that the file of starting weights knows by another name: old: new")

    @property
    def renamed_classes(self) -> dict[str, str]:
        """``class_renames`` with names that are text, also those that read like numbers."""
        return {str(old): str(new) for old, new in self.class_renames.items()}


@dataclass
class HyperConfig:
    batch_size: int = _value(32, "images a forward pass, over all devices together", low=1)
    epochs: int = _value(100, "passes over the training images", low=1)
    learning_rate: float = _value(0.001, "peak learning rate", low=1e-6, high=1)
    backbone_lr_scale: float = _value(1.0, "learning rate of the backbone, the layers before the heads, over that of "
                                           "the "
                                  "rest; 0 freezes it", low=0, high=1)
    schedule: str = _value("constant", "of the learning rate", choices=("constant", "step", "cosine"))
    warmup_epochs: float = _value(0.0, "linear warm-up from 0, epochs", low=0, high=50)
    lr_step_size: int = _value(30, "schedule=step: epochs between two decays", low=1)
    lr_gamma: float = _value(0.1, "schedule=step: factor of a decay", low=1e-4, high=1)
    optimizer: str = _value("sgd", "optimizer", choices=("sgd", "adam", "adamw"))
    weight_decay: float = _value(0.0, "weight decay", low=0, high=0.1)
    momentum: float = _value(0.9, "momentum of sgd; the first beta of adam and adamw", low=0, high=0.99)
    early_stop: bool = _value(True, "stop when the validation loss falls and the score rises no more")
    patience: int = _value(10, "early_stop: epochs without a lower validation loss or a higher score", low=1)
    class_balance: str = _value("none", "class imbalance: sampling draws images of rare classes more often",
                                choices=("none", "sampling"))
    clip_grad_norm: float | None = _value(None, "clip the gradient's norm to this", low=1e-6)
    ema_decay: float = _value(0.0, "decay of the exponential moving average of the weights; 0 is off", low=0,
                              high=0.99999)


@dataclass
class ColorJitterConfig:
    brightness: float = _value(0.1, "relative jitter", low=0, high=1)
    contrast: float = _value(0.1, "relative jitter", low=0, high=1)
    saturation: float = _value(0.1, "relative jitter", low=0, high=1)
    hue: float = _value(0.1, "shift, in turns", low=0, high=0.5)


@dataclass
class AugmentConfig:
    """Keys under ``augment``: random changes of the training images."""

    horizontal_flip: bool = _value(True, "mirror left and right with probability 0.5; wrong where sides differ")
    rotate90: bool = _value(False, "turn by 0, 90, 180 or 270 degrees, for pictures without up and down; unlike "
                                 "rotation it leaves boxes tight")
    resized_crop: bool = _value(True, "random crop of 50-100 % of the area, resized to the input size")
    translation: float = _value(5.0, "largest shift, percent of the side", low=0, high=20)
    rotation: float = _value(10.0, "largest rotation to either side, degrees", low=0, high=180)
    color_jitter: ColorJitterConfig = field(default_factory=ColorJitterConfig)
    extra: dict[str, Any] = _options("augmentations of plugins, in this order, after all others: name: options "
                                     "(`sightsmith list augmentations`)")


@dataclass
class TunerConfig:
    name: str = _value(MANUAL, "who chooses network, augmentation and hyper-parameters, typed tuner=NAME "
                               "(`sightsmith list tuners`): manual is you; auto goes by preference.* and the data; the "
                               "others search")
    trials: int | None = _value(None, "runs of a search, or members of a population; null: as many as the space has. "
                                    "tuner=auto tuner.trials=1 trains what is chosen and searches nothing", low=1)
    space: dict[str, Any] = _options("what a search goes through: key: sweep. Sweeps that are typed replace it: "
                                     "hyper.momentum=0.8,0.9 or 'hyper.learning_rate=tag(log,interval(1e-5,0.1))'")
    options: dict[str, Any] = _options("the tuner's own settings")
    time_budget: float | None = _value(None, "hours after which a search starts no more runs", low=0)
    runs_per_device: int = _value(1, "runs of a sweep that share a GPU", low=1)
    max_failure_rate: float = _value(0.5, "part of a search's runs that may fail before it stops", low=0, high=1)


@dataclass
class PreferenceConfig:
    """What tuner=auto goes by in flow=general."""

    balance: int = _value(3, "from faster (1) to more accurate (5)", low=1, high=5)
    image_type: str = _value("other", "what the images are", choices=("ct", "mri", "xray", "fundus", "other"))


@dataclass
class TrainerConfig:
    devices: str = _value("auto", "number of devices (ranks), or auto: every GPU, else one CPU process")
    precision: str = _value("auto", "auto measures which is faster on this device",
                            choices=("auto", "fp32", "bf16", "fp16"))
    memory_format: str = _value("auto", "how images and weights lie in memory; auto measures which is faster",
                                choices=("auto", "contiguous", "channels_last"))
    seed: int = _value(0, "seed of everything random", low=0, high=2**31 - 1)
    gradient_accumulation: int = _value(1, "forward passes added up to one update", low=1, high=1024)
    num_workers: str = _value("auto", "processes that load images, per rank: a number, or auto")
    cache: bool = _value(True, "keep decoded images in memory where they fit")
    compile: bool = _value(False, "torch.compile the network")
    checkpoint_minutes: float = _value(10.0, "also checkpoint within an epoch, this often", low=0.001)
    watchdog_minutes: float = _value(30.0, "several ranks: minutes without any work after which the run is ended, "
                                           "saying "
                                 "where each rank was; 0: never", low=0)
    resume: str = _value("false", "false, true (the newest unfinished run of this name), or a run folder")
    dry_run: bool = _value(False, "stop after the plan")
    pause_after_epoch: int | None = _value(None, "pause after this epoch, to go on with trainer.resume", low=1)
    branch_from: str | None = _value(None, "a run folder from whose last checkpoint to go on in a new run, with "
                                           "weights and "
                                      "optimizer, under other hyper-parameters")


@dataclass
class LimitsConfig:
    batch_size: int = _value(32, "largest hyper.batch_size", low=1)
    epochs: int = _value(200, "largest hyper.epochs", low=1)
    max_trials: int = _value(48, "largest tuner.trials, and number of combinations of a grid", low=1)
    min_trials: int = _value(8, "smallest tuner.trials", low=1)


@dataclass
class PresetConfig:
    """A preset's card: what it is for, and what data it wants. Filled by the preset alone."""

    name: str | None = _value(None, "the preset: `sightsmith list presets`")
    title: str = _value("", "what it finds")
    description: str = _value("", "one line more")
    modality: str = _value("", "how the images are made")
    dicom_modalities: list[Any] = _list("DICOM modalities that are of this kind; [] for any")
    body_part: str = _value("", "what the images show")
    annotation: str = _value("", "what stands with an image", choices=("", "single-label", "multi-label", "boxes",
                                                                      "masks"))
    classes: list[Any] = _list("names of the classes that the data must have; [] for any")
    images: str = _value("", "the images that it takes")
    cases: int | None = _value(None, "cases from which it can be expected to work")
    score: str = _value("", "a measured score, with its data")
    licence: str = _value("Apache-2.0", "of the preset's file")
    tunable: list[Any] = _list("keys beside hyper.* that stay free")
    weights: str = _value("", "its own file of starting weights, beside the preset's file")
    weights_sha256: str = _value("", "digest of that file")
    file: str = _value("", "the preset's file, where no plugin provides it")


@dataclass
class BaseRunConfig:
    """The finished run that a retraining starts from, and what is done against forgetting."""

    path: str | None = _value(None, "its folder")
    classes: list[Any] = _list("its classes")
    distillation: float = _value(0.0, "weight of the loss that holds the backbone's features near the base run's",
                                 low=0, high=100)
    replay: float = _value(0.0, "part of the base run's own images that is trained and validated on too, percent",
                           low=0, high=100)


@dataclass
class Config:
    """The whole configuration of one run, resolved."""

    flow: str = _value("general", "general: all is yours to choose; specialized: a preset has chosen; retrain: a "
                       "finished run is trained on", choices=("general", "specialized", "retrain"))
    preset: PresetConfig = field(default_factory=PresetConfig)
    base_run: BaseRunConfig = field(default_factory=BaseRunConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    name: str = _value("${task.name}", "name of the run, at most 100 characters")
    description: str = _value("", "free text, shown in the report")
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    hyper: HyperConfig = field(default_factory=HyperConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    tuner: TunerConfig = field(default_factory=TunerConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    logger: dict[str, Any] = _options("the metric loggers: `sightsmith list loggers`; logger=[] for none")
    output_dir: str = _value("runs", "folder of the runs")


def walk(config: Any = Config, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Every leaf as ``(dotted key, field, value)``; the value is None for the class itself."""
    for entry in dataclasses.fields(config):
        nested = entry.default_factory if dataclasses.is_dataclass(entry.default_factory) else None
        value = None if isinstance(config, type) else getattr(config, entry.name)
        if nested is not None:
            yield from walk(nested if isinstance(config, type) else value, f"{prefix}{entry.name}.")
        else:
            yield f"{prefix}{entry.name}", entry, value


def is_among(key: str, names: Iterable[str]) -> bool:
    """Whether ``key`` is one of ``names``, or of a group of keys that is."""
    return any(key == name or key.startswith(f"{name}.") for name in names)


def format_override(value: Any) -> str:
    """``value`` as it is typed in an override."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
