"""Learning-rate schedules and optimizers."""

from __future__ import annotations

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sightsmith.core.contracts.schema import HyperConfig
from sightsmith.engine.training.optim import (
    MovingAverage,
    backbone_layers,
    build_optimizer,
    freeze,
    is_plateau,
    learning_rate,
    load_state,
    set_learning_rate,
)


def rates(epochs, per_epoch=10, **keys):
    hyper = HyperConfig(learning_rate=0.1, epochs=epochs, **keys)
    return [learning_rate(hyper, update, per_epoch) for update in range(epochs * per_epoch)]


def test_constant():
    assert set(rates(3)) == {0.1}


def test_step_decays_after_each_interval():
    values = rates(6, schedule="step", lr_step_size=2, lr_gamma=0.5)
    assert values[19] == pytest.approx(0.1)
    assert values[20] == pytest.approx(0.05)
    assert values[40] == pytest.approx(0.025)


def test_cosine_falls_from_the_peak_to_nothing():
    values = rates(5, schedule="cosine")
    assert values[0] == pytest.approx(0.1)
    assert values[25] == pytest.approx(0.05)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1e-3


def test_warm_up_rises_to_the_peak():
    values = rates(4, warmup_epochs=1.0, schedule="cosine")
    assert values[:10] == pytest.approx([0.01 * step for step in range(1, 11)])
    assert values[10] == pytest.approx(0.1)


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam),
                                            ("adamw", torch.optim.AdamW)])
def test_optimizers_take_momentum_and_decay(name, kind):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = build_optimizer(model, HyperConfig(optimizer=name, weight_decay=0.01, momentum=0.8))
    assert type(optimizer) is kind
    decayed, rest = optimizer.param_groups
    assert decayed["weight_decay"] == 0.01
    assert [parameter.ndim for parameter in decayed["params"]] == [2]
    assert rest["weight_decay"] == 0.0
    assert (decayed["momentum"] if name == "sgd" else decayed["betas"][0]) == 0.8


def test_the_backbone_learns_at_its_part_of_the_rate():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    hyper = HyperConfig(weight_decay=0.01, backbone_lr_scale=0.1, momentum=0)
    optimizer = build_optimizer(model, hyper, [model[0]])
    set_learning_rate(optimizer, 0.5)
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {rates[parameter] for parameter in model[0].parameters()} == {0.05}
    assert {rates[parameter] for parameter in model[1].parameters()} == {0.5}
    assert optimizer.param_groups[0]["lr"] == 0.5  # what is shown as the learning rate
    freeze([model[0]])
    frozen = build_optimizer(model, HyperConfig(backbone_lr_scale=0), [model[0]])
    assert {parameter for group in frozen.param_groups for parameter in group["params"]} == set(model[1].parameters())


def test_layers_of_the_backbone_learn_the_slower_the_nearer_to_the_input():
    class Backbone(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.position = torch.nn.Parameter(torch.zeros(2, 2))
            self.stem, self.act, self.top = torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2)

    model = torch.nn.Sequential(Backbone(), torch.nn.Linear(2, 2))
    optimizer = build_optimizer(model, HyperConfig(backbone_lr_scale=0.5, layer_decay=0.4), [model[0]])
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    factors = [(model[0].position, 0.2), (model[0].stem.bias, 0.2), (model[0].top.weight, 0.5), (model[1].weight, 1)]
    for parameter, factor in factors:
        assert rates[parameter] == pytest.approx(0.001 * factor)
    flat = backbone_layers([model[0].stem, model[0].act, model[0].top])
    assert flat == [list(model[0].stem.parameters()), list(model[0].top.parameters())]
    assert backbone_layers([]) == []


def test_plateau_decays_after_epochs_without_improvement():
    hyper = HyperConfig(learning_rate=0.1, schedule="plateau", lr_step_size=3, lr_gamma=0.5)
    assert [learning_rate(hyper, 50, 10, plateaus) for plateaus in range(3)] == pytest.approx([0.1, 0.05, 0.025])
    assert [idle for idle in range(10) if is_plateau(hyper, idle)] == [3, 6, 9]
    assert not is_plateau(HyperConfig(schedule="step", lr_step_size=3), 3)


def test_ema_follows_the_weights():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 0.0)
    ema = MovingAverage(model, 0.9)
    ema.update_parameters(model)
    torch.nn.init.constant_(model.weight, 1.0)
    ema.update_parameters(model)
    average = 1 - 2 / 11  # the decay of the second update is 2/11, of the n-th (n + 1) / (n + 10)
    assert ema.module.weight.item() == pytest.approx(average)
    for update in range(2, 200):
        ema.update_parameters(model)
        average += (1 - average) * (1 - min(0.9, (1 + update) / (10 + update)))
        assert ema.module.weight.item() == pytest.approx(average)
    torch.nn.init.constant_(model.weight, 0.0)
    ema.update_parameters(model)
    assert ema.module.weight.item() == pytest.approx(0.9 * average)


def test_ema_is_that_of_torch_and_copies_counts():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    ema, theirs = MovingAverage(model, 0.15), AveragedModel(model, use_buffers=True)
    for update in range(4):
        model(torch.rand(4, 2, 8, 8)).square().mean().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= parameter.grad
        theirs.multi_avg_fn = get_ema_multi_avg_fn(min(0.15, (1 + update) / (10 + update)))
        theirs.update_parameters(model)
        ema.update_parameters(model)
        for name, value in ema.state_dict().items():
            if name.endswith("num_batches_tracked"):
                assert value == update + 1
            else:
                assert value.equal(theirs.state_dict()[name]), name


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_fused_steps_are_those_of_one_by_one_in_any_memory_format_also_after_loading(name, memory_format):
    """The fused kernels would mix up the elements of tensors that do not lie alike."""
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3, groups=4))
        model.to(memory_format=memory_format)
        optimizer = build_optimizer(model, HyperConfig(optimizer=name, weight_decay=0.1, learning_rate=0.01))
        for group in optimizer.param_groups:
            group["fused"] = fused
        for step in range(4):
            if step == 2:
                saved = optimizer.state_dict()
                for state in saved["state"].values():  # as a checkpoint keeps them
                    state |= {key: value.clone(memory_format=torch.contiguous_format) for key, value in state.items()
                              if isinstance(value, torch.Tensor)}
                load_state(optimizer, saved)
            optimizer.zero_grad()
            model(torch.randn(2, 3, 9, 9)).square().sum().backward()
            optimizer.step()
        results.append([parameter.detach() for parameter in model.parameters()])
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_loaded_state_keeps_what_was_gathered_and_not_the_settings(name):
    def optimizer(**keys):
        torch.manual_seed(0)
        return build_optimizer(torch.nn.Linear(3, 2), HyperConfig(optimizer=name, **keys))

    first = optimizer(weight_decay=0.0, momentum=0.8)
    for group in first.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    first.step()
    second = optimizer(weight_decay=0.01, momentum=0.5)
    load_state(second, first.state_dict())
    decays, biases = second.param_groups
    assert (decays["weight_decay"], biases["weight_decay"]) == (0.01, 0.0)
    assert (decays["momentum"] if name == "sgd" else decays["betas"][0]) == 0.5
    gathered = "momentum_buffer" if name == "sgd" else "exp_avg"
    for ours, theirs in zip(second.param_groups, first.param_groups, strict=True):
        for one, other in zip(ours["params"], theirs["params"], strict=True):
            assert torch.equal(second.state[one][gathered], first.state[other][gathered])
