"""From the outputs of an exported detector to objects."""

from __future__ import annotations

from types import SimpleNamespace

import torch


def test_an_image_without_a_detection_has_no_mask(make_task):
    task = make_task("rtmdet_ins_tiny")
    exporter = task.exporter(task.build_model()[0].eval(), [(64, 64)])
    sample = SimpleNamespace(img_shape=(40, 64), ori_shape=(80, 128), scale_factor=(0.5, 0.5))
    outputs = {"boxes": torch.zeros(1, 5, 4), "scores": torch.zeros(1, 5),
               "labels": torch.zeros(1, 5, dtype=torch.int64),
               "masks": torch.zeros(1, 5, 64, 64, dtype=torch.uint8)}
    [found] = exporter.predicted(outputs, [sample])
    assert found.pred_instances.masks.shape == (0, 80, 128)
