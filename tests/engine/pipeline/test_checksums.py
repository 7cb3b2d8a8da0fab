"""What a preset's checksum and the digest of tensors depend on; detection and segmentation are made again alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_verify import PRESET

import sightsmith
from sightsmith.core.contracts.record import Provider
from sightsmith.engine.pipeline.verify import check_run, train_again
from sightsmith.engine.runs.checkpoint import tensors_digest


def test_the_checksum_is_that_of_what_the_file_says():
    assert replace(PRESET, provider=Provider("other", "other", "1")).checksum == PRESET.checksum
    others = [replace(PRESET, network="resnet18"), replace(PRESET, card=replace(PRESET.card, classes=["dog", "cat"])),
              replace(PRESET, config={}), replace(PRESET, card=replace(PRESET.card, tunable=["image"]))]
    assert len({preset.checksum for preset in [PRESET, *others]}) == 5


def test_the_digest_of_tensors_knows_names_types_shapes_and_bytes_and_no_layout():
    first = {"a": torch.arange(24.).reshape(1, 2, 3, 4), "b": torch.tensor(3), "c": torch.zeros(0)}
    turned = {"c": first["c"], "b": first["b"], "a": first["a"].contiguous(memory_format=torch.channels_last)}
    assert tensors_digest(first) == tensors_digest(turned)
    others = [{**first, "a": first["a"].reshape(2, 1, 3, 4)}, {**first, "b": torch.tensor(3).view(torch.float64)},
              {**first, "c": torch.zeros(0, 1)}, {"A": first["a"], "b": first["b"], "c": first["c"]},
              {**first, "a": first["a"] + 1e-6}, {**first, "a": first["a"].bfloat16()}]
    assert len({tensors_digest(tensors) for tensors in [first, *others]}) == 7


@pytest.mark.slow
@pytest.mark.parametrize("network", ["task=detection network=rtmdet_tiny", "task=segmentation network=fastscnn"])
def test_objects_come_out_the_same(tmp_path, network, plugins):
    run = sightsmith.train([*network.split(), "dataset.root=sample", "dataset.limit=16", "network.weights=none",
                            "image.size=64", "hyper.epochs=1", "hyper.batch_size=4", "hyper.optimizer=adamw",
                            "dataset.validation_percentage=25", "logger=[]", f"output_dir={tmp_path}"]).run_dir
    again = train_again(run, check_run(run, lambda line: None, plugins), plugins)
    assert again.same, again.lines()
