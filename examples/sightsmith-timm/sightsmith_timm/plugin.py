"""The hooks, found by the entry point. They only return records, so that this module imports fast."""

from __future__ import annotations

from typing import Any

from sightsmith.plugin import (
    DatasetFormatRecord,
    LoggerRecord,
    ModuleNetworkRecord,
    PresetFolder,
    TunerRecord,
    hookimpl,
)

LICENCE = "Apache-2.0 (timm)"
HALF: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
"""Mean and standard deviation of timm's EfficientNet-Lite weights; the others use ImageNet's."""
NETWORKS = (
    # name, family, parameters, input size, smallest size (pixels)
    ("tf_efficientnet_lite0", "efficientnet_lite", 4_652_008, 224, 32),
    ("tf_efficientnet_lite4", "efficientnet_lite", 13_006_568, 380, 32),
    ("mobilenetv4_conv_small", "mobilenetv4", 3_774_024, 224, 32),
    ("mobilenetv4_conv_medium", "mobilenetv4", 9_715_512, 256, 32),
    ("ghostnetv2_100", "ghostnet", 6_156_908, 224, 64),
    ("resnet50d", "resnet_d", 25_576_264, 224, 32),
    ("seresnext50_32x4d", "seresnext", 27_559_896, 224, 32),
)


@hookimpl
def sightsmith_networks() -> list[ModuleNetworkRecord]:
    return [ModuleNetworkRecord(name=name, description=f"{family}, timm", task="classification", family=family,
                                builder="sightsmith_timm.networks:build_network", options={"name": name},
                                parameters=parameters, input_size=side, min_size=smallest, licence=LICENCE,
                                **HALF if family == "efficientnet_lite" else {})
            for name, family, parameters, side, smallest in NETWORKS]


@hookimpl
def sightsmith_dataset_formats() -> list[DatasetFormatRecord]:
    return [DatasetFormatRecord(name="name_prefix", description="a flat folder of <class>_<anything>.png",
                                builder="sightsmith_timm.name_prefix:NamePrefix", annotations=("labels",),
                                layout="cat_1.png cat_2.png dog_1.png ...")]


@hookimpl
def sightsmith_tuners() -> list[TunerRecord]:
    return [TunerRecord(name="one_at_a_time", description="coordinate search: one key at a time",
                        builder="sightsmith_timm.one_at_a_time:OneAtATime",
                        space={"hyper.learning_rate": "0.0003,0.001,0.003", "hyper.weight_decay": "0,0.01"})]


@hookimpl
def sightsmith_loggers() -> list[LoggerRecord]:
    return [LoggerRecord(name="json_lines", description="<run>/steps.jsonl, a line for each step and epoch",
                         builder="sightsmith_timm.json_lines:JsonLinesLogger", options={"file": "steps.jsonl"})]


@hookimpl
def sightsmith_presets() -> list[PresetFolder]:
    return [PresetFolder("sightsmith_timm.presets")]
