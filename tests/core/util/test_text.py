"""The near match that an error offers: what was meant, and nothing far off."""

from __future__ import annotations

import pytest

from sightsmith.core.util.text import closest

KEYS = [
    "augment.extra.cutmix.probability", "augment.horizontal_flip", "augment.rotate90", "augment.rotation",
    "augment.translation", "base_run.path", "dataset.class_map", "dataset.folds", "dataset.format", "dataset.limit",
    "dataset.repeats", "dataset.root", "dataset.tile", "dataset.validation_percentage", "hyper.backbone_lr_scale",
    "hyper.batch_size", "hyper.class_balance", "hyper.clip_grad_norm", "hyper.early_stop", "hyper.ema_decay",
    "hyper.epochs", "hyper.freeze_epochs", "hyper.layer_decay", "hyper.learning_rate", "hyper.lr_gamma",
    "hyper.momentum", "hyper.optimizer", "hyper.patience", "hyper.schedule", "hyper.warmup_epochs",
    "hyper.weight_decay", "image.channels", "image.mean", "image.size", "image.std", "limits.epochs",
    "limits.max_trials", "name", "network.class_renames", "network.config", "network.name", "network.weights",
    "output_dir", "task.label_smoothing", "trainer.cache", "trainer.compile", "trainer.devices", "trainer.dry_run",
    "trainer.num_workers", "trainer.precision", "trainer.resume", "trainer.seed", "tuner.trials"]
COMMANDS = ["train", "inspect", "init", "evaluate", "predict", "export", "serve", "verify", "list", "fetch", "preset",
            "doctor", "completion"]
NETWORKS = ["resnet18", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
            "faster_rcnn_r50", "mask_rcnn_r50", "rtmdet_tiny", "yolox_tiny", "unet", "segformer_b0", "segformer_b1",
            "googlenet", "inception_v3", "vit_b_16", "swin_t"]
FORMATS = ["class_folders", "label_csv", "coco", "voc", "yolo", "mask_folders", "label_studio"]
TASKS = ["classification", "detection", "segmentation"]

MEANT = [
    (KEYS, "hyper.lerning_rate", "hyper.learning_rate"), (KEYS, "hyper.learningrate", "hyper.learning_rate"),
    (KEYS, "hyper.epoch", "hyper.epochs"), (KEYS, "hyper.epohcs", "hyper.epochs"),
    (KEYS, "hyper.batchsize", "hyper.batch_size"), (KEYS, "hyper.optimiser", "hyper.optimizer"),
    (KEYS, "hyper.warmup", "hyper.warmup_epochs"), (KEYS, "hyper.clip_norm", "hyper.clip_grad_norm"),
    (KEYS, "hypr.weight-decay", "hyper.weight_decay"), (KEYS, "hyper.balance", "hyper.class_balance"),
    (KEYS, "dataset.rot", "dataset.root"), (KEYS, "dataset.fold", "dataset.folds"),
    (KEYS, "dataset.validation", "dataset.validation_percentage"), (KEYS, "image.sice", "image.size"),
    (KEYS, "augment.rotate", "augment.rotate90"), (KEYS, "trainer.device", "trainer.devices"),
    (KEYS, "trainer.dryrun", "trainer.dry_run"), (KEYS, "network.rename", "network.class_renames"),
    (KEYS, "learning_rat", "hyper.learning_rate"), (COMMANDS, "trian", "train"), (COMMANDS, "predcit", "predict"),
    (COMMANDS, "eval", "evaluate"), (COMMANDS, "inspection", "inspect"), (COMMANDS, "lst", "list"),
    (NETWORKS, "ResNet-50", "resnet50"), (NETWORKS, "resnet51", "resnet50"),
    (NETWORKS, "mobilenet", "mobilenet_v2"), (NETWORKS, "vit", "vit_b_16"),
    (NETWORKS, "fasterrcnn", "faster_rcnn_r50"), (FORMATS, "COCO", "coco"), (FORMATS, "voc2012", "voc"),
    (FORMATS, "labelstudio", "label_studio"), (TASKS, "detectoin", "detection"), (TASKS, "seg", "segmentation"),
    (TASKS, "classify", "classification"),
]
UNRELATED = [
    *((KEYS, word) for word in (
        "hyper.dropout", "hyper.nesterov", "hyper.beta2", "hyper.banana", "hyper.loss", "hyper.focal_gamma",
        "trainer.callbacks", "trainer.profiler", "trainer.max_steps", "dataset.splits", "image.depth", "network.depth",
        "task.threshold", "augment.fog", "banana", "foo", "run", "debug", "verbose", "wandb_key", "save_dir")),
    *((COMMANDS, word) for word in ("test", "run", "fit", "install", "help", "quit", "make")),
    *((NETWORKS, word) for word in ("cat", "banana", "xception", "alexnet")),
    *((FORMATS, word) for word in ("json", "images", "pascal")),
    *((TASKS, word) for word in ("keypoints", "pose", "regression")),
]


@pytest.mark.parametrize(("options", "typed", "meant"), MEANT, ids=[typed for _, typed, _ in MEANT])
def test_what_was_meant_is_offered_first(options, typed, meant):
    assert closest(typed, options)[0] == meant


@pytest.mark.parametrize(("options", "typed"), UNRELATED, ids=[typed for _, typed in UNRELATED])
def test_nothing_is_offered_for_what_is_not_like_it(options, typed):
    assert closest(typed, options) == []


def test_others_are_offered_only_if_they_are_about_as_close():
    assert closest("hyper.epoch", KEYS) == ["hyper.epochs"]
    assert closest("segformer", NETWORKS) == ["segformer_b0", "segformer_b1"]
    assert closest("mobilenet_v3", NETWORKS) == ["mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"]
    assert closest("???", ["!!!", "cat"]) == []
