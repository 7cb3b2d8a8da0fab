"""The typed configuration: each key with its default, range and help.

The dataclasses are Hydra's schema: composing rejects unknown keys and wrong types. Then
:func:`sightsmith.core.contracts.schema_values.check_values` reports all values out of range at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from omegaconf import MISSING

LiteralKind = Literal["path", "text"]

MANUAL, AUTO, PLATFORM = "manual", "auto", "platform"

MAX_CHANNELS = 64
"""Bands of an image."""


def _value(default: Any, help: str, *, low: float | None = None, high: float | None = None,
           choices: tuple[str, ...] = (), literal: LiteralKind | None = None) -> Any:
    """A key. A ``literal`` one is text that is taken as typed, without Hydra's grammar: see
    :mod:`sightsmith.engine.config.literal`."""
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices,
                                            "literal": literal})


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
    root: str = _value(MISSING, "a folder or zip file, or `sample` for the task's embedded data set", literal="path")
    format: str = _value("auto", "a name from `sightsmith list formats`, or auto", literal="text")
    validation_percentage: float = _value(20.0, "share of images used for validation, percent", low=1, high=99)
    group_by: str = _value("auto", "auto (DICOM patient and study, if any), none, or a regular expression for the "
                           "path, whose first group (or whole match) is the name of the group", literal="text")
    class_map: str | None = _value(None, "other names for the data set's classes, {old: new}, or a YAML file with "
                                   "them; classes that get the same name become one", literal="path")
    min_images_per_class: int = _value(3, "a class with fewer images is an error; 0 also keeps classes without "
                                        "any image", low=0)
    tile: int | None = _value(None, "cut larger images into tiles with this side, pixels, for small objects in large "
                                    "images; null: whole images", low=32, high=4096)
    tile_overlap: float = _value(20.0, "overlap of neighbouring tiles, percent of their side", low=1, high=50)
    folds: str = _value("auto", "cross-validation in addition to the final model: a number of folds, none, or auto "
                        "(5 folds if validation has fewer than 100 cases and it takes no longer than an hour)")
    refit: str = _value("auto", "train the kept model once more, on all cases, so that its score is that of the folds: "
                        "true, false, or auto (after folds, if validation has fewer than 100 cases)")
    repeats: int = _value(1, "repeats of cross-validation with new folds", low=1, high=100)
    limit: int | None = _value(None, "use at most this many images, sampled with the seed", low=2)
    on_bad_image: str = _value("error", "what happens to images that cannot be read: error, or skip to leave them out, "
                               "which the plan, the report and the lock file list", choices=("error", "skip"))


@dataclass
class ImageConfig:
    """Keys under ``image``: how images become the network's input.

    ``channels``, ``case_files``, ``rgb``, ``mean`` and ``std`` of a run's configuration are those of its network where
    it has other than three channels.
    """

    size: int | None = _value(None, "side of the square network input, pixels; null: the network's default", low=16,
                              high=4096)
    windows: list[Any] = _list("windows [[centre, width], ...] of DICOM and volumes after rescale, one channel each")
    channels: str = _value(AUTO, "bands of an image that are used: 3 (the colours), another number from 2 to 64 (all), "
                                 "or auto (all, if every image has the same number, other than 1 and 3)")
    case_files: list[Any] | None = _value(None, "names of the files of a case that are its channels, in this order; "
                                                "null: those that the data set has")
    rgb: bool | None = _value(None, "whether the first three channels are red, green and blue; null: as the files say")
    pages: str = _value("frames", "the pages of a TIFF: frames are images of their own, channels make one image",
                        choices=("frames", "channels"))
    range: list[Any] | None = _value(None, "[low, high] mapped to black and white for images of more than 8 bits; "
                                       "null: the whole range of the stored integer type")
    mean: list[Any] | None = _value(None, "per channel, 0-1; null: what the network's published weights want, or, of "
                                          "other than 3 channels, that of the training images")
    std: list[Any] | None = _value(None, "per channel, 0-1; null: as mean")

    @property
    def input_channels(self) -> int:
        """Channels of the network's input; while ``channels`` is auto, 3 or the number of windows."""
        if len(self.windows) > 1:
            return len(self.windows)
        return 3 if self.channels == AUTO else int(self.channels)

    @property
    def has_rgb(self) -> bool:
        """Whether the first three channels of the network's input are red, green and blue."""
        if len(self.windows) > 1 or self.input_channels < 3:
            return False
        return self.input_channels == 3 if self.rgb is None else self.rgb


@dataclass
class NetworkConfig:
    """Keys under ``network``: which network, and its starting weights."""

    name: str = _value(MISSING, "a name from `sightsmith list networks`")
    weights: str = _value("published", "starting weights: published (the whole network, else its backbone), backbone, "
                                       "none, or the path of a .safetensors or .pth file", literal="path")
    options: dict[str, Any] = _options("passed to the network's builder")
    config: str | None = _value(None, "for a network that is a model zoo: one of its configurations", literal="text")
    class_renames: dict[Any, Any] = _options("classes with another name in the starting weights, old: new")

    @property
    def renamed_classes(self) -> dict[str, str]:
        """``class_renames`` with all names as text, also those that look like numbers."""
        return {str(old): str(new) for old, new in self.class_renames.items()}


@dataclass
class HyperConfig:
    batch_size: int = _value(32, "images per forward pass, over all devices", low=1)
    epochs: int = _value(100, "passes over the training images", low=1)
    learning_rate: float = _value(0.001, "peak learning rate", low=1e-6, high=1)
    backbone_lr_scale: float = _value(1.0, "learning rate of the backbone, the layers before the heads, relative to "
                                           "the rest; 0 freezes it", low=0, high=1)
    layer_decay: float = _value(1.0, "learning rate of a layer of the backbone relative to the next", low=0.1, high=1)
    freeze_epochs: int = _value(0, "epochs at the start in which only the heads learn, not the backbone", low=0)
    schedule: str = _value("constant", "learning rate schedule", choices=("constant", "step", "cosine", "plateau"))
    warmup_epochs: float = _value(0.0, "linear warm-up from 0, epochs", low=0, high=50)
    lr_step_size: int = _value(30, "epochs between decays (schedule=step), or without improvement before one "
                                  "(schedule=plateau)", low=1)
    lr_gamma: float = _value(0.1, "schedule=step or plateau: factor per decay", low=1e-4, high=1)
    optimizer: str = _value("sgd", "optimizer", choices=("sgd", "adam", "adamw"))
    weight_decay: float = _value(0.0, "weight decay", low=0, high=0.1)
    momentum: float = _value(0.9, "momentum of sgd; the first beta of adam and adamw", low=0, high=0.99)
    early_stop: bool = _value(True, "stop when neither validation loss nor score improves any more")
    patience: int = _value(10, "early_stop: epochs without a lower validation loss or a higher score", low=1)
    class_balance: str = _value("none", "class imbalance: sampling draws images of rare classes more often",
                                choices=("none", "sampling"))
    clip_grad_norm: float | None = _value(None, "maximum gradient norm; larger gradients are clipped", low=1e-6)
    ema_decay: float = _value(0.0, "decay of the exponential moving average of the weights; 0: off", low=0,
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

    horizontal_flip: bool = _value(True, "mirror left and right with probability 0.5; turn off if sides differ")
    rotate90: bool = _value(False, "rotate by 0, 90, 180 or 270 degrees, for images without up and down; unlike "
                                 "rotation, it keeps boxes tight")
    resized_crop: bool = _value(True, "crop 50-100 % of the area at random, and resize it to the input size")
    translation: float = _value(5.0, "maximum shift, percent of the side", low=0, high=20)
    rotation: float = _value(10.0, "maximum rotation in either direction, degrees", low=0, high=180)
    color_jitter: ColorJitterConfig = field(default_factory=ColorJitterConfig)
    extra: dict[str, Any] = _options("further augmentations, name: options (`sightsmith list augmentations`)")


@dataclass
class TunerConfig:
    name: str = _value(MANUAL, "who chooses network, augmentation and hyperparameters; set with tuner=NAME "
                               "(`sightsmith list tuners`). manual: you do; auto: by preference.* and the data; the "
                               "others search")
    trials: int | None = _value(None, "trials of a search, or members of a population; null: all combinations of "
                                    "the space. tuner=auto tuner.trials=1 trains the recommendation only", low=1)
    space: dict[str, Any] = _options("the search space, key: sweep. Sweeps on the command line replace it: "
                                     "hyper.momentum=0.8,0.9 or 'hyper.learning_rate=tag(log,interval(1e-5,0.1))'")
    options: dict[str, Any] = _options("the tuner's own settings")
    time_budget: float | None = _value(None, "hours after which a search starts no more trials", low=0)
    runs_per_device: int = _value(1, "runs of a sweep that share a GPU", low=1)
    max_failure_rate: float = _value(0.5, "share of a search's trials that may fail before it stops", low=0, high=1)


@dataclass
class PreferenceConfig:
    """Preferences for tuner=auto in flow=general."""

    balance: int = _value(3, "from faster (1) to more accurate (5)", low=1, high=5)
    image_type: str = _value("other", "what the images are", choices=("ct", "mri", "xray", "fundus", "other"))


@dataclass
class TrainerConfig:
    devices: str = _value("auto", "number of devices (ranks), or auto: all GPUs, or else one CPU process")
    precision: str = _value("auto", "auto measures which is faster on this device",
                            choices=("auto", "fp32", "bf16", "fp16"))
    memory_format: str = _value("auto", "memory format of images and weights; auto measures which is faster",
                                choices=("auto", "contiguous", "channels_last"))
    seed: int = _value(0, "random seed", low=0, high=2**31 - 1)
    gradient_accumulation: int = _value(1, "micro-batches per optimizer step", low=1, high=1024)
    micro_batch: str = _value("auto", "images per forward pass, over all devices, if hyper.batch_size are too many: a "
                              "number, or auto, as many as fit in memory; optimizer steps keep their images")
    num_workers: str = _value("auto", "data loading processes per rank: a number, or auto, as many as the trial "
                              "finds worthwhile, on cores that compute nothing")
    cache: bool = _value(True, "keep decoded images in memory where they fit")
    compile: bool = _value(False, "torch.compile the network")
    checkpoint_minutes: float = _value(10.0, "minutes between checkpoints within an epoch", low=0.001)
    watchdog_minutes: float = _value(30.0, "with several ranks: minutes without progress after which the run stops "
                                           "and shows where each rank was; 0: never", low=0)
    time_budget: float | None = _value(None, "minutes that training and validation may take: the schedule is shortened "
                                       "to fit, by the measured time of a step; null: no limit", low=0.01)
    resume: str = _value("false", "false, true (the newest unfinished run with this name), or a run folder",
                         literal="path")
    dry_run: bool = _value(False, "stop after the plan")
    pause_after_epoch: int | None = _value(None, "pause after this epoch; continue with trainer.resume", low=1)
    branch_from: str | None = _value(None, "a run folder; a new run continues from its last checkpoint, with "
                                           "weights and optimizer, under other hyperparameters", literal="path")


@dataclass
class LimitsConfig:
    batch_size: int = _value(32, "maximum hyper.batch_size", low=1)
    epochs: int = _value(200, "maximum hyper.epochs", low=1)
    max_trials: int = _value(48, "maximum tuner.trials, and combinations of a grid", low=1)
    min_trials: int = _value(8, "minimum tuner.trials", low=1)


@dataclass
class PresetConfig:
    """A preset's card: its purpose, and the data it requires. Only presets set these keys."""

    name: str | None = _value(None, "the preset: `sightsmith list presets`")
    title: str = _value("", "what it detects")
    description: str = _value("", "one more line")
    modality: str = _value("", "imaging modality")
    dicom_modalities: list[Any] = _list("accepted DICOM modalities; []: any")
    body_part: str = _value("", "what the images show")
    annotation: str = _value("", "annotation", choices=("", "single-label", "multi-label", "boxes", "masks"))
    classes: list[Any] = _list("class names that the data must have; []: any")
    images: str = _value("", "accepted images")
    cases: int | None = _value(None, "number of cases needed for useful results")
    score: str = _value("", "a measured score, and its data set")
    licence: str = _value("Apache-2.0", "licence of the preset's file")
    tunable: list[Any] = _list("keys that stay free in addition to hyper.*")
    weights: str = _value("", "file of starting weights, next to the preset's file")
    weights_sha256: str = _value("", "SHA-256 of that file")
    file: str = _value("", "the preset's file, if no plugin provides it")


@dataclass
class BaseRunConfig:
    """The finished run that retraining starts from, and measures against forgetting."""

    path: str | None = _value(None, "its folder", literal="path")
    classes: list[Any] = _list("its classes")
    distillation: float = _value(0.0, "weight of the loss that keeps backbone features close to the base run's",
                                 low=0, high=100)
    replay: float = _value(0.0, "share of the base run's images to include in training and validation, percent",
                           low=0, high=100)


@dataclass
class Config:
    """The whole configuration of one run, resolved."""

    flow: str = _value("general", "general: you choose everything; specialized: a preset does; retrain: continue from "
                       "a finished run", choices=("general", "specialized", "retrain"))
    preset: PresetConfig = field(default_factory=PresetConfig)
    base_run: BaseRunConfig = field(default_factory=BaseRunConfig)
    recipe: str = _value("default", "where hyperparameters that you do not set come from; set with recipe=NAME "
                         "(`sightsmith list recipes`)")
    task: TaskConfig = field(default_factory=TaskConfig)
    name: str = _value("${task.name}", "name of the run, at most 100 characters", literal="text")
    description: str = _value("", "free text for the report", literal="text")
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    ensemble: str = _value("none", "what becomes of the models of dataset.folds: folds predicts with all of them, soup "
                           "averages their weights into one model where validation agrees; either keeps validation out "
                           "of the folds", choices=("none", "folds", "soup"))
    image: ImageConfig = field(default_factory=ImageConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    hyper: HyperConfig = field(default_factory=HyperConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    tuner: TunerConfig = field(default_factory=TunerConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    logger: dict[str, Any] = _options("the metric loggers: `sightsmith list loggers`; logger=[] for none")
    output_dir: str = _value("runs", "folder for runs", literal="path")
