"""Changes of what a run was made from, and of what it wrote; and what `verify` says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_datasets import picture

from sightsmith.cli import main
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.pipeline.verify import check_run
from sightsmith.engine.runs.checkpoint import load_tree, save_tree


def states(run: Path) -> dict[str, str]:
    return {check.part: check.state for check in check_run(run, lambda line: None, load_plugins())}


def texts(run: Path, state: str) -> dict[str, str]:
    checks = check_run(run, lambda line: None, load_plugins())
    return {check.part: check.text for check in checks if check.state == state}


def verify(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        main(["verify", *arguments])
    output = capsys.readouterr()
    return end.value.code, output.out + output.err


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def edit_one_weight(run: Path) -> None:
    path = run / "model" / "model.safetensors"
    tree = load_tree(path)
    tree["model"]["network.classifier.3.bias"][0] += 1e-3
    save_tree(path, tree)


def change_image(place, run):
    picture(place / "set" / "cat" / "3.png", 4711)


def change_label(place, run):
    (place / "set" / "cat" / "3.png").rename(place / "set" / "dog" / "cat-3.png")


def change_config(place, run):
    edit(run / "config.yaml", "learning_rate: 0.001", "learning_rate: 0.002")


def change_seed(place, run):
    edit(run / "config.yaml", "seed: 0", "seed: 1")


def change_bundle(place, run):
    edit_one_weight(run)


def change_weights(place, run):
    path = place / "start.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
