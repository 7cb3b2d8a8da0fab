"""ONNX: a file for onnxruntime and other runtimes, with a script that runs it on images."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import onnx
import onnxruntime
import torch
from onnx import compose, helper
from torch import Tensor

from sightsmith.plugin import Array, Exporter, Outputs, Runner
from sightsmith.plugins.exporters.recording import recording

INPUT = "images"
OPSET = 17
"""The oldest ONNX opset with both GridSample and LayerNormalization."""
LARGEST_FILE = 1_900_000_000
"""Bytes; larger weights go into a separate file, as protobuf is limited to 2 GiB."""


class Onnx:
    """See :class:`sightsmith.core.contracts.exporter.ExportFormat`."""

    def write(self, exporter: Exporter, images: Tensor, path: Path, each_image: bool) -> None:
        names = list(exporter.outputs)
        weights = path.with_name(f"{path.name}.data")
        weights.unlink(missing_ok=True)  # otherwise appended to
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # large models are written as one file per tensor
            file = Path(folder) / path.name
            with recording(exporter, images) as made:
                torch.onnx.export(exporter.module, (images,), str(file), dynamo=False, opset_version=OPSET,
                                  input_names=[INPUT], output_names=names,
                                  dynamic_axes=None if each_image else {name: {0: "batch"} for name in (INPUT, *names)})
            model = onnx.load(file)
        if each_image:
            model = _each_image(model, [images.shape[1:], *(value.shape[1:] for value in made)])
        onnx.save_model(model, path, save_as_external_data=sum(
            len(item.raw_data) for item in model.graph.initializer) > LARGEST_FILE, location=weights.name)

    def open(self, path: Path, exporter: Exporter) -> Runner:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(images: Array) -> Outputs:
            return dict(zip(exporter.outputs, session.run(list(exporter.outputs), {INPUT: images}), strict=True))

        return run

    def companions(self) -> Mapping[str, bytes]:
        return {"predict.py": files("sightsmith.plugins.exporters").joinpath("onnx_script.py").read_bytes()}


def _each_image(model: onnx.ModelProto, shapes: Sequence[Sequence[int]]) -> onnx.ModelProto:
    """``model`` for one image as the body of a Scan over a batch; ``shapes`` are those of its input and outputs
    without the batch, which ONNX may not know."""
    inner = compose.add_prefix(model, "image/").graph  # names must be unique across both graphs
    axis = helper.make_tensor("first_axis", onnx.TensorProto.INT64, [1], [0])
    nodes, values, batches = list(inner.node), [], []
    for value, outer, shape in zip((*inner.input, *inner.output), (*model.graph.input, *model.graph.output), shapes,
                                   strict=True):
        kind, one = value.type.tensor_type.elem_type, f"{value.name}/one"
        if value.name == inner.input[0].name:
            nodes.insert(0, helper.make_node("Unsqueeze", [one, axis.name], [value.name]))
        else:
            nodes.append(helper.make_node("Squeeze", [value.name, axis.name], [one]))
        values.append(helper.make_tensor_value_info(one, kind, shape))
        batches.append(helper.make_tensor_value_info(outer.name, kind, ["batch", *shape]))
    body = helper.make_graph(nodes, "image", values[:1], values[1:], initializer=[*inner.initializer, axis])
    scan = helper.make_node("Scan", [batches[0].name], [value.name for value in batches[1:]], num_scan_inputs=1,
                            body=body)
    return helper.make_model(helper.make_graph([scan], "batch", batches[:1], batches[1:]),
                             opset_imports=list(model.opset_import), ir_version=model.ir_version)
