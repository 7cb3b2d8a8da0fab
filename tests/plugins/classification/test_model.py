"""Networks train a step at small sizes, losses are those of the papers, weights load or explain why not."""

from __future__ import annotations

import copy
import hashlib

import pytest
import torch
from torch.nn import functional
from torchvision.models import get_model_weights, mobilenet_v2, resnet18, vit_b_32

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.schema import HyperConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.runs import published
from sightsmith.engine.runs.checkpoint import load_tree, save_tree
from sightsmith.plugins.classification import model as models


def batch(channels=3, size=32, images=2, label=None):
    generator = torch.Generator().manual_seed(1)
    label = torch.arange(images) % 3 if label is None else label
    return {"inputs": torch.rand(images, channels, size, size, generator=generator),
            "data_samples": {"label": label, "index": torch.arange(images)}}


def losses(model, content):
    return model(**model.data_preprocessor(content, True), mode="loss")


FAMILIES = [
    ("alexnet", 64), ("convnext_tiny", 32), ("densenet121", 32), ("efficientnet_b0", 32), ("googlenet", 32),
    ("inception_v3", 75), ("mnasnet0_5", 32), ("mobilenet_v2", 32), ("mobilenet_v3_small", 32), ("regnet_y_400mf", 32),
    ("resnet18", 16), ("shufflenet_v2_x0_5", 32), ("squeezenet1_0", 32), ("swin_t", 32), ("swin_v2_t", 48),
    ("vit_b_32", 64),
]


@pytest.mark.parametrize(("network", "size"), FAMILIES)
def test_the_backbone_is_all_but_what_depends_on_the_classes(make_task, network, size):
    task = make_task(network, size=size)
    model, _ = task.build_model()
    backbone = {parameter for part in task.backbone(model) for parameter in part.parameters()}
    larger = task._build(len(task.classes) + 1).state_dict()
    of_classes = {parameter for name, parameter in model.named_parameters() if parameter.shape != larger[name].shape}
    assert not backbone & of_classes
    rest = set(model.parameters()) - backbone
    assert of_classes <= rest
    assert sum(parameter.numel() for parameter in backbone) > 0
    features = []
    task.backbone(model)[-1].register_forward_hook(lambda _module, _inputs, output: features.append(output))
    with torch.no_grad():
        task.run_backbone(model.eval(), torch.rand(2, 3, size, size))
        first = features.pop()
        task.run_backbone(model.eval(), torch.rand(2, 3, size, size))
    assert len(first) == 2
    assert not torch.equal(first, features.pop())


@pytest.mark.parametrize(("network", "size"), FAMILIES)
def test_a_training_step_of_each_family(make_task, network, size):
    torch.manual_seed(0)  # of some draws a network is so sure that the loss is 0
    task = make_task(network, size=size)
    model, report = task.build_model()
    assert report is None
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss, parts = model.parse_losses(losses(model, batch(size=size)))
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    assert parts["loss_cls"] > 0
    # As the engine does it: from a plain dict of tensors.
    model.load_state_dict(dict(model.state_dict()))
    with torch.no_grad():
        outcomes = task.evaluation_step(model.eval(), batch(size=size))
    assert [outcome["logits"].shape for outcome in outcomes] == [(3,), (3,)]


@pytest.mark.parametrize(("network", "size", "weight"), [("googlenet", 64, 0.3), ("inception_v3", 299, 0.4)])
def test_auxiliary_losses_weigh_as_in_the_papers(make_task, network, size, weight):
    model, _ = make_task(network, size=size).build_model()
    model.train()
    content = batch(size=size)
    torch.manual_seed(5)
    found = losses(model, content)
    torch.manual_seed(5)
    _, *auxiliary = model.network(model.data_preprocessor(content)["inputs"])
    label = content["data_samples"]["label"]
    expected = weight * sum(functional.cross_entropy(side, label) for side in auxiliary)
    torch.testing.assert_close(found["loss_aux"], expected)
    assert len(auxiliary) == {"googlenet": 2, "inception_v3": 1}[network]


def test_inception_has_no_auxiliary_head_where_nothing_is_left_for_it(make_task):
    model, _ = make_task("inception_v3", size=96).build_model()
    assert set(losses(model.train(), batch(size=96))) == {"loss_cls"}


@pytest.mark.parametrize("channels", [2, 5])
@pytest.mark.parametrize("network", ["resnet18", "swin_t", "densenet121"])
def test_other_numbers_of_channels(make_task, network, channels):
    task = make_task(network, size=32, windows=[[40, 80]] * channels)
    model, _ = task.build_model()
    assert torch.isfinite(losses(model.train(), batch(channels))["loss_cls"])


def test_inputs_are_normalised_by_channel(make_task):
    model, _ = make_task(size=32).build_model()
    inputs = model.data_preprocessor({"inputs": torch.full((1, 3, 32, 32), 0.485)})["inputs"]
    torch.testing.assert_close(inputs[0, :, 0, 0], torch.tensor([0.0, 0.029 / 0.224, 0.079 / 0.225]))
    assert not any("preprocessor" in name for name in model.state_dict())


def test_the_loss_of_one_image_is_defined_with_batch_normalisation(make_task):
    model, _ = make_task(size=32).build_model()
    assert torch.isfinite(losses(model.train(), batch(images=1))["loss_cls"])


def test_label_smoothing_and_class_weights(make_task):
    task = make_task(size=32, settings={"label_smoothing": 0.1, "class_weights": "balanced"})
    model, _ = task.build_model()
    samples = [Sample(None, str(number), (name,)) for number, name in enumerate(["cat", "cat", "cat", "dog"])]
    task.prepare(model, samples)
    content = batch(images=3)
    logits = model.eval()(**model.data_preprocessor(content))
    expected = functional.cross_entropy(logits, content["data_samples"]["label"], reduction="none", label_smoothing=0.1,
                                        weight=torch.tensor([4 / 9, 0.0, 4 / 3])).mean()
    torch.testing.assert_close(losses(model, content)["loss_cls"], expected)
    assert "class_weight" not in model.state_dict()


def test_multi_label_loss_weighs_positives(make_task):
    task = make_task(size=32, multi_label=True, settings={"class_weights": "balanced"})
    model, _ = task.build_model()
    labels = [("cat",), ("cat", "dog"), ("cat",), ()]
    task.prepare(model, [Sample(None, str(number), names) for number, names in enumerate(labels)])
    label = torch.tensor([[1.0, 0, 0], [0, 0, 1]])
    content = batch(label=label)
    logits = model.eval()(**model.data_preprocessor(content))
    expected = functional.binary_cross_entropy_with_logits(logits, label, pos_weight=torch.tensor([1 / 3, 1.0, 3.0]))
    torch.testing.assert_close(losses(model, content)["loss_cls"], expected)


def test_one_correction_of_imbalance_at_a_time(make_task):
    task = make_task(size=32, settings={"class_weights": "balanced"}, hyper=HyperConfig(class_balance="sampling"))
    with pytest.raises(UserError, match="both correct for imbalance"):
        task.build_model()


def test_sampling_draws_every_class_alike(make_task):
    task = make_task(hyper=HyperConfig(class_balance="sampling"))
    samples = [Sample(None, str(number), (name,)) for number, name in enumerate(["cat", "cat", "cat", "dog"])]
    assert task.sampling_weights(samples) == [1 / 3, 1 / 3, 1 / 3, 1]
    assert make_task().sampling_weights(samples) is None


def test_a_model_is_copied_with_what_it_needs(make_task):
    model, _ = make_task("mnasnet0_5", size=32).build_model()
    twin = copy.deepcopy(model)
    twin.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})
    assert not torch.equal(next(twin.parameters()), next(model.parameters()))


@pytest.mark.parametrize(("network", "size"), [("vit_b_16", 100), ("maxvit_t", 64), ("alexnet", 32)])
def test_an_input_size_that_the_network_refuses(make_task, network, size):
    with pytest.raises(UserError, match=rf"{network} cannot .*{size}"):
        make_task(network, size=size).build_model()


def test_an_option_that_the_network_does_not_know(make_task):
    with pytest.raises(UserError, match="depth"):
        make_task(options={"depth": 3}).build_model()
    model, _ = make_task("mobilenet_v2", size=32, options={"dropout": 0.5}).build_model()
    assert model.network.classifier[0].p == 0.5


def test_weights_of_a_file_by_name_but_for_the_head(make_task, tmp_path):
    source = resnet18(num_classes=10)
    torch.save({"state_dict": {f"module.{name}": value for name, value in source.state_dict().items()}},
               tmp_path / "w.pth")
    model, report = make_task(size=32, weights=str(tmp_path / "w.pth")).build_model()
    assert [name for name, _ in report.mismatched] == ["fc.bias", "fc.weight"]
    assert report.digest == hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    torch.testing.assert_close(model.network.conv1.weight, source.conv1.weight)
    _, again = make_task(size=32, weights=str(tmp_path / "w.pth")).build_model(load_weights=False)
    assert again is None


def test_weights_of_a_run_of_ours(make_task, tmp_path):
    first, _ = make_task(size=32).build_model()
    save_tree(tmp_path / "model.safetensors", {"model": first.state_dict()})
    second, report = make_task(size=32, weights=str(tmp_path / "model.safetensors")).build_model()
    assert (report.how, report.mismatched, report.unused, report.missing) == ("by name", (), (), ())
    torch.testing.assert_close(second.state_dict(), first.state_dict())
    assert set(load_tree(tmp_path / "model.safetensors")["model"]) == set(first.state_dict())


@pytest.mark.parametrize("counters", [True, False])
def test_a_backbone_under_other_names_loads_by_order(make_task, tmp_path, counters):
    source = mobilenet_v2().features.state_dict()
    kept = [value for name, value in source.items() if counters or not name.endswith("num_batches_tracked")]
    torch.save({f"layer{number}": value for number, value in enumerate(kept)}, tmp_path / "w.pth")
    model, report = make_task("mobilenet_v2", size=32, weights=str(tmp_path / "w.pth")).build_model()
    assert report.how == "by order"
    assert [name for name in report.missing if not name.endswith("num_batches_tracked")] == [
        "classifier.1.weight", "classifier.1.bias"]
    torch.testing.assert_close(model.network.features.state_dict(), source)


def test_starting_weights_meet_other_channels_by_order(make_task, tmp_path):
    source = mobilenet_v2().features.state_dict()
    torch.save({f"layer{number}": value for number, value in enumerate(source.values())}, tmp_path / "w.pth")
    task = make_task("mobilenet_v2", size=32, weights=str(tmp_path / "w.pth"), windows=[[40, 80], [80, 200]])
    model, report = task.build_model()
    assert len(report.loaded) == len(source)
    expected = source["0.0.weight"].mean(1) * 3 / 2
    torch.testing.assert_close(model.network.features[0][0].weight[:, 1], expected)


@pytest.mark.parametrize(("published", "ours"), [
    ("features.denseblock1.denselayer2.norm.1.weight", "features.denseblock1.denselayer2.norm1.weight"),
    ("features.denseblock1.denselayer2.conv.2.weight", "features.denseblock1.denselayer2.conv2.weight"),
    ("encoder.layers.encoder_layer_0.mlp.linear_1.bias", "encoder.layers.encoder_layer_0.mlp.0.bias"),
    ("encoder.layers.encoder_layer_0.mlp.linear_2.bias", "encoder.layers.encoder_layer_0.mlp.3.bias"),
    ("network.layer1.0.conv1.weight", "layer1.0.conv1.weight"), ("fc.weight", "fc.weight"),
])
def test_names_that_torchvision_has_changed(published, ours):
    assert models._current_name(published) == ours


def test_vision_transformer_at_another_size_keeps_its_position_embedding(make_task, tmp_path):
    torch.save(vit_b_32(image_size=128).state_dict(), tmp_path / "w.pth")
    model, report = make_task("vit_b_32", size=64, weights=str(tmp_path / "w.pth")).build_model()
    assert "encoder.pos_embedding" in report.loaded
    assert model.network.encoder.pos_embedding.shape[1] == 5


@pytest.fixture
def imagenet(tmp_path, monkeypatch):
    """A network of random values where the published MobileNetV3 is looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(published, "digest_start", lambda name: "")
    weights = get_model_weights("mobilenet_v3_small").DEFAULT
    path = tmp_path / "hub" / "checkpoints" / weights.url.rsplit("/", 1)[-1]
    path.parent.mkdir(parents=True)
    network = models.get_model("mobilenet_v3_small", weights=None)
    torch.save(network.state_dict(), path)
    return network, weights.meta["categories"]


def test_published_weights_of_other_classes_leave_the_last_layer(make_task, imagenet):
    _, report = make_task("mobilenet_v3_small", size=32, weights="published").build_model()
    assert [name for name, _ in report.mismatched] == ["classifier.3.bias", "classifier.3.weight"]
    assert (report.published.dataset, report.published.licence) == ("ImageNet", "BSD-3-Clause (torchvision)")
    assert len(report.digest) == 64


def test_published_weights_keep_the_rows_of_imagenets_classes(make_task, imagenet):
    source, categories = imagenet
    task = make_task("mobilenet_v3_small", size=32, weights="published", classes=("cow", "goldfish", "Goldfish"))
    model, report = task.build_model()
    assert report.classes["kept"] == ("goldfish",)
    head = model.network.classifier[3].weight
    assert head[1].equal(source.classifier[3].weight[categories.index("goldfish")])
    assert not any(row.equal(head[2]) for row in source.classifier[3].weight)


def test_the_backbone_is_all_but_the_last_layer(make_task, imagenet):
    source, categories = imagenet
    task = make_task("mobilenet_v3_small", size=32, weights="backbone", classes=("cow", "goldfish"))
    model, report = task.build_model()
    assert report.missing == ("classifier.3.weight", "classifier.3.bias") and not report.mismatched
    assert model.network.classifier[0].weight.equal(source.classifier[0].weight)

