"""Registers the built-in commands, in the order of ``sightsmith --help``."""

from __future__ import annotations

from sightsmith.core.contracts.records import CommandRecord
from sightsmith.core.plugins.hookspecs import hookimpl


def _command(name: str, usage: str, description: str, example: str, *, settings: str = "") -> CommandRecord:
    module = f"{__package__}.{name}"
    return CommandRecord(name=name, usage=usage, description=description, example=example,
                         builder=f"{module}:{name}_command", settings=f"{module}:{settings}" if settings else None)


@hookimpl
def sightsmith_commands() -> list[CommandRecord]:
    return [
        _command("train", "task=classification dataset.root=photos", "train a model",
                 "task=classification dataset.root=photos"),
        _command("inspect", "task=classification dataset.root=photos", "check or convert a data set",
                 "task=detection dataset.root=photos --html photos-report", settings="Inspect"),
        _command("init", "dataset=photos [file=photos.yaml]", "write a configuration of your own for a data set",
                 "dataset=photos, then sightsmith train --config-name photos", settings="Init"),
        _command("evaluate", "run=last [dataset.root=photos]", "evaluate a run on labelled images",
                 "run=last dataset.root=new_photos", settings="Evaluate"),
        _command("predict", "run=last input=photos [format=labelme]", "predict images",
                 "run=last input=photos format=labelme", settings="Predict"),
        _command("export", "run=last [format=torchscript]", "export the model for other programs",
                 "run=last format=onnx", settings="Export"),
        _command("serve", "run=last [port=8000]", "serve predictions over HTTP",
                 "run=last port=8000, then curl --data-binary @photo.jpg localhost:8000/predict",
                 settings="Serve"),
        _command("verify", "run=last [rerun=true] [--json]", "check that a run is reproducible",
                 "run=last rerun=true", settings="Verify"),
        _command("list", "networks|presets|formats|... [--task T]", "list installed components and runs",
                 "networks --task classification", settings="List"),
        _command("fetch", "network=NAME [folder=DIR]", "download published weights ahead of time",
                 "network=rtmdet_tiny folder=weights", settings="Fetch"),
        _command("preset", "create run=last name=NAME", "create a preset from a run",
                 "create run=last name=my_nuclei modality=microscopy package=true", settings="CreatePreset"),
        _command("doctor", "[--json]", "check the installation", "--json", settings="Doctor"),
        _command("completion", "bash|zsh|fish", "complete commands, keys and values in your shell", "zsh > _sightsmith",
                 settings="Completion"),
    ]
