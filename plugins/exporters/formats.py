"""The files that an exported model may be: written from recorded operations, and opened again as anyone would."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sightsmith.core.contracts.exporter import Exporter, Outputs
from sightsmith.core.contracts.image import Array
from sightsmith.plugins.exporters.plain_operations import plain_operations

if TYPE_CHECKING:
    import onnx

INPUT = "images"
OPSET = 17
"""Of ONNX: the oldest with all that is needed, GridSample and LayerNormalization."""
LARGEST_FILE = 1_900_000_000
"""Bytes of weights from which they stand in a file beside the model's: protobuf ends at 2 GiB."""

Runner = Callable[[Array], Outputs]
"""Images (N, C, side, side) float32 to what the model gives."""


@dataclass(frozen=True)
class ExportFormat:
    """``write(exporter, images, path, each_image)`` records the exporter's module while it is run on ``images``;
    ``each_image`` is for a module that takes one at a time, which then runs once for each. ``open`` reads the file."""

    name: str
    file: str
    needs: tuple[str, ...]
    write: Callable[[Exporter, Tensor, Path, bool], None]
    open: Callable[[Path, Exporter], Runner]


def run_module(exporter: Exporter) -> Runner:
    """The exporter's own module, one image at a time: what it says of one does not depend on others."""
    def run(images: Array) -> Outputs:
        with torch.no_grad():
            parts = [exporter.module(torch.from_numpy(images[place:place + 1])) for place in range(len(images))]
        return {name: torch.cat(values).numpy()
                for name, values in zip(exporter.outputs, zip(*parts, strict=True), strict=True)}

    return run


class _EachImage(nn.Module):
    """Runs a recorded module of one image for each of several. Scripted: the loop is part of the file."""

    def __init__(self, recorded: Any, outputs: int) -> None:
        super().__init__()
        self.recorded, self.outputs = recorded, outputs

    def forward(self, images: Tensor) -> list[Tensor]:
        found: list[list[Tensor]] = []
        for place in range(images.size(0)):
            found.append(self.recorded(images[place:place + 1]))
        return [torch.cat([one[number] for one in found]) for number in range(self.outputs)]


class _AsList(nn.Module):
    """TorchScript has no tuples of any length."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.module(images))


def _write_torchscript(exporter: Exporter, images: Tensor, path: Path, each_image: bool) -> None:
    with _recording(exporter, images):
        recorded: Any = torch.jit.trace(_AsList(exporter.module), images, check_trace=False, strict=False)
        if each_image:
            recorded = torch.jit.script(_EachImage(recorded, len(exporter.outputs)))
        torch.jit.save(recorded, path)


def _open_torchscript(path: Path, exporter: Exporter) -> Runner:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.load(path, map_location="cpu")

    def run(images: Array) -> Outputs:
        with torch.no_grad():
            return {name: value.numpy()
                    for name, value in zip(exporter.outputs, module(torch.from_numpy(images)), strict=True)}

    return run


def _write_onnx(exporter: Exporter, images: Tensor, path: Path, each_image: bool) -> None:
    import onnx

    names = list(exporter.outputs)
    weights = path.with_name(f"{path.name}.data")
    weights.unlink(missing_ok=True)  # to which it would be appended
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # a large model is written as a file a tensor
        file = Path(folder) / path.name
        with _recording(exporter, images) as made:
            torch.onnx.export(exporter.module, (images,), str(file), dynamo=False, opset_version=OPSET,
                              input_names=[INPUT], output_names=names,
                              dynamic_axes=None if each_image else {name: {0: "batch"} for name in (INPUT, *names)})
        model = onnx.load(file)
    if each_image:
        model = _each_image(model, [images.shape[1:], *(value.shape[1:] for value in made)])
    onnx.save_model(model, path, save_as_external_data=sum(
        len(item.raw_data) for item in model.graph.initializer) > LARGEST_FILE, location=weights.name)


def _each_image(model: onnx.ModelProto, shapes: Sequence[Sequence[int]]) -> onnx.ModelProto:
    """``model`` of one image as the body of a Scan over a batch of them; ``shapes`` are those of its input and outputs
    without the batch, which ONNX does not always know."""
    import onnx
    from onnx import compose, helper

    inner = compose.add_prefix(model, "image/").graph  # a name means one thing, inside and outside
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


def _open_onnx(path: Path, exporter: Exporter) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: Array) -> Outputs:
        return dict(zip(exporter.outputs, session.run(list(exporter.outputs), {INPUT: images}), strict=True))

    return run


@contextmanager
def _recording(exporter: Exporter, images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """What the module gives, run once before it is recorded, without what the recorder says of every layer."""
    with (torch.no_grad(), plain_operations(), exporter.traceable(), warnings.catch_warnings(),
          redirect_stdout(io.StringIO())):
        warnings.simplefilter("ignore")
        yield exporter.module(images)


FORMATS: Sequence[ExportFormat] = (
    ExportFormat("onnx", "model.onnx", ("onnx", "onnxruntime"), _write_onnx, _open_onnx),
    ExportFormat("torchscript", "model.pt", (), _write_torchscript, _open_torchscript),
)
