"""Detection, instance masks and segmentation through the whole of a run, as a person starts it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from processes import start, succeed
from small_runs import COMMON, SMALL, coco

import sightsmith
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.plugins.openmmlab.build import scope


def dry_run(overrides) -> None:
    from sightsmith.engine.config.compose import compose
    from sightsmith.engine.pipeline.start import start

    plugins = load_plugins()
    assert start(compose(overrides, plugins), overrides, plugins) is None


@pytest.mark.slow
@pytest.mark.parametrize(("task", "network", "figures"), [
    ("detection", "rtmdet_tiny", {"ap", "ap_low", "ap_high", "ap50", "ar_100", "ap/zero", "loss"}),
    pytest.param("detection", "rtmdet_ins_tiny", {"ap", "box_ap", "ap_small", "loss"}, marks=pytest.mark.slow),
    ("segmentation", "fastscnn", {"dice", "dice_low", "dice_high", "miou", "iou/zero", "specificity/zero",
                                  "pixel_accuracy", "loss"}),
])
def test_a_run_from_data_to_model(tmp_path, task, network, figures):
    result = sightsmith.train([*SMALL, f"task={task}", f"network={network}", f"output_dir={tmp_path}",
                               "augment.horizontal_flip=true"])
    assert figures <= set(result.metrics)
    assert result.metrics["loss"] is not None
    assert result.classes == ("zero", "one", "four")
    assert "per-class.csv" in {path.name for path in result.report.parent.iterdir()}
    again = sightsmith.load(result.run_dir).model
    assert all(value.equal(again.state_dict()[name]) for name, value in result.model.state_dict().items())


@pytest.mark.slow
def test_tiles_in_training_and_validation(tmp_path):
    root = coco(tmp_path / "set", 12, lambda number: [(5 + number, 20, 16, 16)])
    result = sightsmith.train([*COMMON, root, "task=detection", "dataset.tile=40", "dataset.validation_percentage=25",
                               f"output_dir={tmp_path / 'runs'}"])
    plan = json.loads((result.run_dir / "plan.json").read_text())
    assert (plan["train_images"], plan["validation_images"]) == (9 * 4, 3 * 4)
    assert result.metrics["ap"] is not None


@pytest.mark.slow
def test_workers_average_and_balance(tmp_path):
    """The same figures from images that other processes load."""
    run = [*SMALL, "task=detection", "hyper.ema_decay=0.9", "hyper.class_balance=sampling",
           "trainer.gradient_accumulation=2", "augment.rotation=10", f"output_dir={tmp_path}"]
    alone = sightsmith.train([*run, "trainer.num_workers=0"])
    helped = sightsmith.train([*run, "trainer.num_workers=2"])
    assert alone.metrics == helped.metrics


@pytest.mark.slow
def test_a_network_that_draws_predicts_the_same_each_time(tmp_path):
    """SegNeXt's head factorises features from random bases, in evaluation too."""
    result = sightsmith.train([*SMALL, "task=segmentation", "network=segnext_t", f"output_dir={tmp_path}"])
    task, model = result.task, result.model
    data = task.dataset(check(task.config, load_plugins(), print).validation, training=False)
    logits, outcomes = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad(), scope("mmseg"):
            logits.append(model(torch.linspace(-2, 2, 3 * 64 * 64).reshape(1, 3, 64, 64), mode="tensor"))
            outcomes.append(task.evaluation_step(model, task.collate([data[0], data[1]])))
    assert not logits[0].equal(logits[1])
    assert [item["loss"] for item in outcomes[0]] == [item["loss"] for item in outcomes[1]]
    assert all((one["counts"] == two["counts"]).all() for one, two in zip(*outcomes, strict=True))


def test_validation_computes_features_in_the_precision_of_training_and_once(boxes):
    """The head has them in full precision: it gives positions."""
    result = sightsmith.load(str(boxes.run_dir))  # its own: hooks stay on the model
    task, model = result.task, result.model
    data = task.dataset(check(task.config, load_plugins(), print).validation, training=False)
    features, given = [], []
    model.backbone.register_forward_hook(lambda module, inputs, outputs: features.append(outputs[0].dtype))
    model.bbox_head.register_forward_hook(lambda module, inputs, outputs: given.append(inputs[0][0].dtype))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        task.evaluation_step(model, task.collate([data[0], data[1]]))
    assert (features, given) == ([torch.bfloat16], [torch.float32, torch.float32])


@pytest.mark.slow
def test_a_zoo_configuration_by_its_own_name(tmp_path):
    result = sightsmith.train([*SMALL, "task=segmentation", "network=mmseg",
                               "network.config=erfnet/erfnet_fcn_4xb4-160k_cityscapes-512x1024",
                               f"output_dir={tmp_path}"])
    assert type(result.model.backbone).__name__ == "ERFNet"


def test_a_zoo_configuration_decides_between_boxes_and_masks(tmp_path):
    """Boxes alone would do for the one, and not for the other."""
    root = coco(tmp_path / "set", 4, lambda number: [(20, 20, 24, 24)])
    run = [*COMMON, root, "task=detection", "network=mmdet", "trainer.dry_run=true", f"output_dir={tmp_path}"]
    dry_run([*run, "network.config=yolox/yolox_tiny_8xb8-300e_coco"])
    with pytest.raises(UserError, match="trains on masks"):
        dry_run([*run, "network.config=rtmdet/rtmdet-ins_tiny_8xb32-300e_coco"])


@pytest.mark.slow
def test_a_run_starts_from_another_runs_model_by_the_names_of_the_classes(tmp_path, capsys):
    first = sightsmith.train([*SMALL, "task=detection", "network=yolox_nano", f"output_dir={tmp_path}"])
    root = coco(tmp_path / "set", 8, lambda number: [(20, 20, 24, 24)])
    annotations = json.loads((tmp_path / "set" / "annotations.json").read_text())
    annotations["categories"] = [{"id": 1, "name": "four"}, {"id": 2, "name": "eel"}]
    annotations["annotations"][0]["category_id"] = 2
    (tmp_path / "set" / "annotations.json").write_text(json.dumps(annotations))
    weights = first.run_dir / "model" / "model.safetensors"
    second = sightsmith.train([*COMMON, root, "task=detection", "network=yolox_nano", f"network.weights={weights}",
                               "hyper.learning_rate=1e-6", "hyper.optimizer=sgd", "dataset.min_images_per_class=1",
                               f"output_dir={tmp_path}"])
    assert "heads matched by class: 1 kept (four); 1 new (eel); 2 dropped (zero, one)" in capsys.readouterr().out
    before, after = (run.model.bbox_head.multi_level_conv_cls[0].weight[run.classes.index("four")]
                     for run in (first, second))
    torch.testing.assert_close(before, after, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_network_that_learns_from_a_teacher_asks_for_its_weights(tmp_path):
    from sightsmith.plugins.openmmlab.build import assemble
    from sightsmith.plugins.openmmlab.zoo import load_model

    run = [*SMALL, "task=detection", "network=mmdet", "network.config=ld/ld_r18-gflv1-r101_fpn_1x_coco",
           "trainer.dry_run=true", f"output_dir={tmp_path}"]
    with pytest.raises(UserError, match=r"set \+network.options.teacher_ckpt=PATH"):
        dry_run(run)
    teacher = assemble(load_model("mmdet", "gfl/gfl_r101_fpn_ms-2x_coco"), "mmdet")
    torch.save({"state_dict": teacher.state_dict()}, tmp_path / "teacher.pth")
    dry_run([*run, f"+network.options.teacher_ckpt={tmp_path / 'teacher.pth'}"])


@pytest.mark.parametrize("network", [
    ["task=detection", "network=ssd300"],
    ["task=segmentation", "network=mmseg",
     "network.config=mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024"],
])
def test_an_image_of_which_the_last_layers_leave_nothing(tmp_path, network):
    with pytest.raises(UserError, match="cannot take images of 64 px: .*\n?.*choose a larger image.size"):
        sightsmith.train([*SMALL, *network, f"output_dir={tmp_path}"])


@pytest.mark.parametrize(("overrides", "expected"), [
    (["network=mmdet", "network.config=rtmdet/rtmdet_tini_8xb32-300e_coco"], "Did you mean 'rtmdet/rtmdet_tiny"),
    (["network=mmdet"], "choose one of its networks with network.config"),
    (["network=mmdet", "network.config=fast_rcnn/fast-rcnn_r50_fpn_1x_coco"], "takes proposals in addition"),
    (["network.config=rtmdet/rtmdet_s_8xb32-300e_coco"], "leave network.config out"),
    (["hyper.class_balance=loss", "task.label_smoothing=0.1"], "task.label_smoothing belongs to task=classification"),
    (["network=resnet18"], "is for classification, not for detection"),
])
def test_mistakes_are_user_errors(tmp_path, overrides, expected):
    with pytest.raises(UserError) as raised:
        sightsmith.train([*SMALL, "task=detection", *overrides, f"output_dir={tmp_path}"])
    assert expected in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_and_ranks_without_any_box(tmp_path, devices):
    """Of 12 images 3 have an object: most batches, and most shares of a rank, have none."""
    root = coco(tmp_path / "set", 12, lambda number: [(20, 20, 24, 24)] if number in (2, 5, 8) else [])
    succeed(start(tmp_path / "runs", *COMMON, root, "task=detection", "hyper.batch_size=2", "hyper.epochs=2",
                  f"trainer.devices={devices}"))
    [run] = (tmp_path / "runs").iterdir()
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(entry["train_loss"]) for entry in entries)


def test_a_diverged_network_has_an_undefined_loss():
    from sightsmith.plugins.openmmlab.task import OpenMMLabTask

    assert OpenMMLabTask.mean_loss([{"loss": 1.0}, {"loss": float("nan")}]) is None
    assert OpenMMLabTask.mean_loss([{"loss": 1.0}, {"loss": float("inf")}]) is None
    assert OpenMMLabTask.mean_loss([{"loss": 1.0}, {"loss": 3.0}]) == 2


@pytest.mark.slow
def test_backbone_weights_load_by_order_into_mmdets_and_mmsegs_mobilenet(tmp_path):
    """torchvision's MobileNetV2 has the tensors of the zoo's, under other names."""
    from torchvision.models import mobilenet_v2

    weights = tmp_path / "mobilenet_v2.pth"
    state = {name: value for name, value in mobilenet_v2(weights=None).state_dict().items()
             if not name.startswith("classifier")}
    torch.save(state, weights)
    result = sightsmith.train([*SMALL, "task=segmentation", "network=deeplabv3plus_mobilenet_v2",
                               f"network.weights={weights}", "hyper.learning_rate=1e-6", "hyper.optimizer=sgd",
                               f"output_dir={tmp_path / 'runs'}"])
    loaded = result.model.backbone.conv1.conv.weight
    assert torch.allclose(loaded, state["features.0.0.weight"], atol=1e-3)
