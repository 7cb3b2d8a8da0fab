"""Registers the formats of exported models."""

from __future__ import annotations

from sightsmith.plugin import ExportFormatRecord, hookimpl


@hookimpl
def sightsmith_export_formats() -> list[ExportFormatRecord]:
    return [
        ExportFormatRecord(name="onnx", description="for onnxruntime and other runtimes, with a prediction script",
                           file="model.onnx", needs=("onnx", "onnxruntime"), install="pip install 'sightsmith[export]'",
                           builder="sightsmith.plugins.exporters.onnx:Onnx"),
        ExportFormatRecord(name="torchscript", description="for PyTorch, from Python or C++", file="model.pt",
                           builder="sightsmith.plugins.exporters.torchscript:TorchScript"),
    ]
