"""Weights are read without executing them, and matched to a model without guessing silently."""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file
from torch import nn

from sightsmith.core.util.errors import UserError
from sightsmith.engine.report.starting_weights import loading_lines
from sightsmith.engine.runs.checkpoint import save_tree
from sightsmith.engine.runs.heads import find_heads, plain_layout
from sightsmith.engine.runs.weights import (
    Stem,
    WeightsFile,
    file_digest,
    fill_heads,
    load_by_class,
    load_matching,
    read_weights,
)


def network(channels: int = 3, classes: int = 4) -> nn.Sequential:
    return nn.Sequential(OrderedDict(stem=nn.Conv2d(channels, 6, 3), norm=nn.BatchNorm2d(6), flat=nn.Flatten(),
                                     head=nn.Linear(6, classes)))


class Bomb:
    """Unpickling it creates the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_a_file_that_would_execute_code_is_not_read(tmp_path, write):
    bomb = {"state_dict": {"weight": torch.zeros(2)}, "extra": Bomb(tmp_path / "executed")}
    path = tmp_path / "bomb.pth"
    if write == "torch":
        torch.save(bomb, path)
    else:
        path.write_bytes(pickle.dumps({"extra": Bomb(tmp_path / "executed")}, protocol=2))
    with pytest.raises(UserError, match="could execute code") as raised:
        read_weights(path)
    assert "torch.save(model.state_dict()" in str(raised.value)
    assert ("(pathlib" in str(raised.value)) == (write == "torch")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("wrap", [
    lambda state: state,
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model": {"state_dict": state}},
    lambda state: {f"module._orig_mod.{name}": value for name, value in state.items()},
    lambda state: {**state, "arguments": "lr 0.1"},
])
def test_the_usual_wrappings_are_taken_off(tmp_path, wrap):
    state = dict(network().state_dict())
    torch.save(wrap(state), tmp_path / "w.pth")
    torch.testing.assert_close(read_weights(tmp_path / "w.pth").tensors, state)


def test_safetensors_and_checkpoints_of_ours(tmp_path):
    state = dict(network().state_dict())
    save_file(state, tmp_path / "w.safetensors")
    save_tree(tmp_path / "ours.safetensors", {"model": state, "epoch": 2})
    torch.testing.assert_close(read_weights(tmp_path / "w.safetensors").tensors, state)
    torch.testing.assert_close(read_weights(tmp_path / "ours.safetensors").tensors, state)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("part", [0, 7, 100, 1000])
def test_damaged_files(tmp_path, name, part):
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(dict(network().state_dict()), path)
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(UserError, match="w\\."):
        read_weights(path)


def test_a_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "resnet18.pth").touch()
    with pytest.raises(UserError, match="Did you mean 'resnet18.pth'"):
        read_weights(tmp_path / "resnet81.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="no named tensors"):
        read_weights(tmp_path / "empty.pth")


def test_what_frameworks_keep_beside_the_tensors_is_not_read(tmp_path):
    state = dict(network().state_dict())
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save({"meta": {"dataset_meta": {"classes": ("cat", "cow")}, "args": argparse.Namespace(rate=0.1)},
                "state_dict": state, "message_hub": {"log": history, "array": np.ones(3)}}, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    torch.testing.assert_close(found.tensors, state)
    assert found.classes == ("cat", "cow")


@pytest.mark.parametrize(("content", "classes"), [
    ({"meta": {"dataset_meta": {"CLASSES": ["a", "b"]}}}, ("a", "b")),
    ({"meta": {"CLASSES": ("a", "b")}}, ("a", "b")),
    ({"meta": {"dataset_meta": {"classes": "a"}}}, ("a",)),
    ({"meta": {"dataset_meta": None, "CLASSES": [1, 2]}}, ()),
    ({"meta": "none"}, ()),
])
def test_classes_are_where_mmengine_puts_them(tmp_path, content, classes):
    torch.save({"state_dict": {"weight": torch.zeros(1)}, **content}, tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").classes == classes


def test_heads_are_filled_by_class():
    source, model = network(classes=2), network(classes=3)
    initial = model.head.weight.clone()
    heads = find_heads(model.state_dict(), network(classes=4).state_dict(), lambda *_: plain_layout)
    file = WeightsFile(dict(source.state_dict()), ("cow", "dog"))
    report = load_by_class(model, file, "w", ("cat", "cow", "eel"), lambda: heads)
    assert report.classes == {"kept": ("cow",), "new": ("cat", "eel"), "dropped": ("dog",)}
    assert not report.mismatched
    torch.testing.assert_close(model.head.weight[1], source.head.weight[0])
    torch.testing.assert_close(model.head.weight[[0, 2]], initial[[0, 2]])
    assert loading_lines(report)[-1] == "  heads matched by class: 1 kept (cow); 2 new (cat, eel); 1 dropped (dog)"


def test_heads_of_other_classes_altogether_are_left_out():
    model = network(classes=2)
    heads = find_heads(model.state_dict(), network(classes=3).state_dict(), lambda *_: plain_layout)
    tensors = fill_heads(model, WeightsFile(dict(network(classes=2).state_dict()), ("a", "b")), ("c", "d"), heads)
    assert "head.weight" not in tensors
    assert "stem.weight" in tensors


def test_by_name_reports_what_does_not_fit():
    source, model = network(classes=10), network()
    head = model.head.weight.clone()
    state = dict(source.state_dict())
    del state["norm.weight"]
    state["projector.weight"] = torch.zeros(1)
    report = load_matching(model, state, "w.pth")
    assert report.how == "by name"
    assert dict(report.mismatched)["head.weight"] == "10×6 in the file, 4×6 in the network"
    assert report.unused == ("projector.weight",)
    assert report.missing == ("norm.weight",)
    assert report.loaded[0] == "stem.weight"
    torch.testing.assert_close(model.stem.weight, source.stem.weight)
    torch.testing.assert_close(model.head.weight, head)
    printed = "\n".join(loading_lines(report))
    assert "w.pth" in printed
    assert "10×6" in printed
    assert "projector.weight" in printed


def test_by_order_only_where_every_shape_fits():
    source, model = network(), network()
    backbone = [value for name, value in source.state_dict().items() if not name.startswith("head")]
    report = load_matching(model, {str(number): value for number, value in enumerate(backbone)}, "w")
    assert report.how == "by order"
    assert report.missing == ("head.weight", "head.bias")
    torch.testing.assert_close(model.norm.state_dict(), source.norm.state_dict())
    with pytest.raises(UserError, match="No tensor of w matches"):
        load_matching(network(), {str(number): value for number, value in enumerate(backbone[1:])}, "w")


def test_by_order_where_the_file_goes_on_after_the_network():
    source, model = network(), network()
    longer = {str(number): value for number, value in enumerate(source.state_dict().values())}
    report = load_matching(model, longer | {"last": torch.zeros(7)}, "w")
    assert (report.how, report.unused, report.missing) == ("by order", ("last",), ())
    torch.testing.assert_close(model.state_dict(), source.state_dict())


def test_by_order_with_other_classes_in_the_last_layer():
    source, model = network(classes=10), network(classes=3)
    head = model.head.weight.clone()
    renamed = {f"t.{number}": value for number, value in enumerate(source.state_dict().values())}
    report = load_matching(model, renamed, "w")
    assert (report.how, report.unused, report.missing) == ("by order", (), ())
    assert [name for name, _ in report.mismatched] == ["head.bias", "head.weight"]
    torch.testing.assert_close(model.norm.state_dict(), source.norm.state_dict())
    torch.testing.assert_close(model.head.weight, head)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_another_number_of_input_channels_keeps_the_sum_over_them(channels):
    source, model = network(), network(channels)
    load_matching(model, source.state_dict(), "w")
    torch.testing.assert_close(model.stem.weight.sum(1), source.stem.weight.sum(1))
    assert model.stem.weight.shape == (6, channels, 3, 3)


def test_colours_keep_their_kernels_and_other_channels_get_the_mean():
    source, model = network(), network(5)
    report = load_matching(model, source.state_dict(), "w", Stem((2, 1, 0), gain=2.0))
    kernels, found = source.stem.weight, model.stem.weight
    torch.testing.assert_close(found[:, :3], 2 * 3 / 5 * kernels.flip(1))
    torch.testing.assert_close(found[:, 4], 2 * 3 / 5 * kernels.mean(1))
    said = "stem.weight: 3 input channels made 5 (red, green and blue as in the file, the others their mean)"
    assert report.adapted == (said,) and said in "\n".join(loading_lines(report))
    assert load_matching(network(), source.state_dict(), "w", Stem((2, 1, 0), gain=2.0)).adapted == ()


def test_digest(tmp_path):
    (tmp_path / "w").write_bytes(b"abc")
    assert file_digest(tmp_path / "w") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_core_weights_needs_no_plugin():
    code = "import sys, sightsmith.engine.runs.weights\nassert not {'mmengine', 'torchvision'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
