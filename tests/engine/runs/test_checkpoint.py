"""Checkpoints: exact, atomic, harmless."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from safetensors.torch import save_file

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import write_atomic
from sightsmith.engine.runs.checkpoint import load_tree, save_tree


def test_a_tree_comes_back_exactly(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    tree = {"a": [1, 2.5, None, True, "ü"], 3: {"w": shared, "t": shared.T, "h": torch.ones(2, dtype=torch.bfloat16)},
            "inf": math.inf, "tiny": 0.1 + 0.2, "empty": {}, "list": []}
    save_tree(tmp_path / "c" / "x.safetensors", tree)
    back = load_tree(tmp_path / "c" / "x.safetensors")
    assert back["a"] == tree["a"]
    assert back["inf"] == math.inf
    assert back["tiny"] == 0.1 + 0.2
    assert torch.equal(back[3]["w"], shared)
    assert torch.equal(back[3]["t"], shared.T)
    assert back[3]["h"].dtype == torch.bfloat16


def test_an_optimizer_comes_back_exactly(tmp_path):
    def make():
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        return layer, torch.optim.AdamW(layer.parameters(), lr=0.01)

    def step(layer, optimizer):
        layer(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    layer, optimizer = make()
    step(layer, optimizer)
    save_tree(tmp_path / "s.safetensors", {"m": layer.state_dict(), "o": optimizer.state_dict()})
    step(layer, optimizer)
    again, other = make()
    saved = load_tree(tmp_path / "s.safetensors")
    again.load_state_dict(saved["m"])
    other.load_state_dict(saved["o"])
    step(again, other)
    assert torch.equal(layer.weight, again.weight)


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps({"a": 1}), b"\xff" * 64])
def test_a_damaged_file_is_the_users_to_mend(tmp_path, content):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a sightsmith checkpoint"):
        load_tree(path)


def test_a_checkpoint_of_version_0_1_has_no_digest(tmp_path):
    path = tmp_path / "state.safetensors"
    save_file({"0": torch.arange(3)}, path, metadata={"tree": '{"d": [["epoch", {"v": 3}], ["model", {"t": "0"}]]}'})
    assert load_tree(path)["epoch"] == 3
    assert load_tree(path)["model"].tolist() == [0, 1, 2]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
