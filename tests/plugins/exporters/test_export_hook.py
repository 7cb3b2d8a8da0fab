"""A stranger's export format: listed, used, compared, and refused where what it needs is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fake_plugins import with_plugin
from safetensors.numpy import load_file, save_file

from sightsmith.core.contracts.records import ExportFormatRecord
from sightsmith.core.util.errors import ExportError, UserError
from sightsmith.engine.pipeline.export import export, run_module
from sightsmith.plugins.commands.listing import rows

RECORD = ExportFormatRecord(name="weights", description="the weights alone", file="model.safetensors",
                            builder="stranger:Weights")


class Weights:
    """The weights as safetensors, put back into the module that they came from."""

    def write(self, exporter, images, path, each_image):
        assert images.shape[1:] == (exporter.channels, exporter.height, exporter.width)
        save_file({name: value.numpy() for name, value in exporter.module.state_dict().items()}, path)

    def open(self, path, exporter):
        exporter.module.load_state_dict({name: torch.from_numpy(value) for name, value in load_file(path).items()})
        return run_module(exporter)

    def companions(self):
        return {"HOW.txt": b"load it"}


class Wrong(Weights):
    def open(self, path, exporter):
        run = run_module(exporter)
        return lambda images: {name: np.asarray(value) + 0.5 for name, value in run(images).items()}


def installed_with(monkeypatch, record=RECORD, builder=Weights):
    return with_plugin(monkeypatch, "stranger", "sightsmith_export_formats", [record], Weights=builder)


def test_a_strangers_format_is_listed_and_used(digits, tmp_path, monkeypatch):
    plugins = installed_with(monkeypatch)
    assert [(row["name"], row["file"]) for row in rows("exporters", plugins)] == [
        ("onnx", "model.onnx"), ("torchscript", "model.pt"), ("weights", "model.safetensors")]
    found = export(digits, "weights", plugins, output_dir=tmp_path, report=lambda line: None)
    assert found.parity.largest_difference == 0
    assert {path.name for path in found.folder.iterdir()} == {"model.safetensors", "model.json", "HOW.txt"}
    assert (found.folder / "HOW.txt").read_text() == "load it"


def test_it_is_refused_where_it_differs_or_lacks_something(digits, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="cannot be exported as weights: its outputs differ"):
        export(digits, "weights", installed_with(monkeypatch, builder=Wrong), output_dir=tmp_path,
               report=lambda line: None)
    assert not list(tmp_path.iterdir())
    lacking = dataclasses.replace(RECORD, needs=("no_such_module",), install="pip install no-such")
    with pytest.raises(UserError, match="format=weights needs no_such_module, which is not installed") as raised:
        export(digits, "weights", installed_with(monkeypatch, lacking), output_dir=tmp_path)
    assert raised.value.hint == "pip install no-such"
    with pytest.raises(UserError, match="no installed plugin exports this format. Did you mean 'weights'"):
        export(digits, "weihgts", installed_with(monkeypatch), output_dir=tmp_path)
