"""Ensembles, soups and refits of a model of a few numbers: what each training sees, and what is made of the folds."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny import TinyModel, TinyTask, tiny_config, tiny_dataset
from torch import nn

from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex
from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.engine.pipeline.cross_validation import choose_folds, cross_validate
from sightsmith.engine.pipeline.ensemble import Mixture, ensemble_of_folds, greedy, mean_weights, soup_of_folds
from sightsmith.engine.pipeline.inference import Predictor
from sightsmith.engine.pipeline.kept_model import KeptModel
from sightsmith.engine.pipeline.refit import refit
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed
from sightsmith.engine.training.batch_norm import recompute_statistics
from sightsmith.engine.training.bootstrap import Interval, gain


class MeanTask(TinyTask):
    """Tiny, with predictions that can be averaged."""

    def flipped(self, batch, axes):
        return dict(batch)

    def fuse(self, parts):
        return {"scores": np.mean([part["scores"] for part in parts], axis=0)}

    def assess(self, parts, batch):
        targets = batch["data_samples"]
        return [{"index": index, "loss": float("nan"), "right": int(np.argmax(part["scores"])) == label}
                for part, index, label in zip(parts, targets["index"].tolist(), targets["label"].tolist(), strict=True)]


class Watch:
    """The trainings, and the update of which Ctrl-C comes."""

    def __init__(self, stop=None):
        self.trainings, self.numbers, self.updates, self.stop = [], [], 0, stop

    @contextmanager
    def reporters(self, training, epochs, number):
        self.trainings.append(training)
        self.numbers.append(number)
        yield [self]

    def on_step(self, state, losses, rate):
        self.updates += 1
        if self.updates == self.stop:
            os.kill(os.getpid(), signal.SIGINT)

    def on_validation(self, done, batches):
        pass

    def on_epoch(self, state, metrics):
        pass


@pytest.fixture
def stage():
    """``stage(ensemble, checked)``: context and planned run of three folds."""
    state = distributed.open_state()

    def make(ensemble="none", checked=None, task=MeanTask, **keys):
        config = replace(tiny_config(**{"epochs": 5, "batch_size": 4, **keys}), ensemble=ensemble)
        plan = SimpleNamespace(precision="fp32", memory_format="contiguous", num_workers=0, folds=3, repeats=1,
                               micro_batch=config.hyper.batch_size, ensemble=ensemble)
        checked = checked or tiny_dataset()
        planned = PlannedRun(config, task(None, config, None, ["a", "b", "c"]), checked, checked, None, None, plan,
                             None)
        return RunContext.of(config, [], None, state, None), planned

    yield make
    distributed.close_state(state)


def weights_of(seed, scale=1.0):
    torch.manual_seed(seed)
    return {name: scale * value for name, value in TinyModel().state_dict().items()}


def own_model(planned, weights):
    model = TinyModel()
    model.load_state_dict(weights)
    results = Predictor(planned.task, (model.eval(),)).evaluate(planned.dataset.validation)
    metrics = planned.task.metrics(results)
    return KeptModel(weights, planned.dataset.validation, results, metrics | {"cv_accuracy": 0.5},
                     (("validation", metrics["accuracy"], Interval(0.0, 1.0, 6)),
                      ("cross-validation", 0.5, Interval(0.4, 0.6, 18))))


@pytest.mark.parametrize("ensemble", ["folds", "soup"])
def test_no_model_of_an_ensemble_has_seen_a_case_that_it_is_scored_on(stage, tmp_path, ensemble):
    """A group is a case: none of its images is seen either."""
    samples = tuple(replace(sample, group=f"{place // 2}") for place, sample in enumerate(tiny_dataset().index.samples))
    checked = CheckedDataset(DatasetIndex(Path(), "", ("a", "b", "c"), samples), "", samples[6:], samples[:6], {}, (),
                             "", "")
    watch = Watch()
    context, planned = stage(ensemble, checked)
    found = cross_validate(context, planned, 1, RunDir(tmp_path), watch.reporters)
    held_out = {sample.case for sample in checked.validation}
    for training in watch.trainings:
        assert not held_out & {sample.case for sample in (*training.train, *training.validation)}
    left_out = [sample.key for training in watch.trainings for sample in training.validation]
    assert sorted(left_out) == sorted(sample.key for sample in checked.train)
    assert len(found.models) == 3
    assert found.interval.cases == 9


def test_the_models_are_those_that_were_scored(stage, tmp_path):
    watch = Watch()
    context, planned = stage("folds")
    found = cross_validate(context, planned, 2, RunDir(tmp_path), watch.reporters)
    for training, weights in zip(watch.trainings, found.models, strict=True):
        assert all((value == weights[name]).all() for name, value in training.model.state_dict().items())
    again = cross_validate(context, planned, 2, RunDir(tmp_path), Watch().reporters)
    assert all((value == other[name]).all() for one, other in zip(found.models, again.models, strict=True)
               for name, value in one.items())


def test_an_ensemble_predicts_the_mean_of_its_members(stage):
    context, planned = stage("folds")
    members = [weights_of(seed, 3) for seed in (1, 2)]
    own = own_model(planned, weights_of(0))
    kept = ensemble_of_folds(context, planned, own, members)
    models = []
    for weights in members:
        models.append(TinyModel().eval())
        models[-1].load_state_dict(weights)
    data = planned.task.dataset(planned.dataset.validation, training=False)
    batch = planned.task.collate([data[place] for place in range(6)])
    with torch.no_grad():
        mean = sum(model(batch["inputs"]).softmax(1) for model in models) / 2
    predicted = Predictor(planned.task, tuple(models)).predict(batch)
    assert np.array([part["scores"] for part in predicted]) == pytest.approx(mean.numpy(), abs=1e-6)
    right = (mean.argmax(1) == batch["data_samples"]["label"]).float().mean().item()
    assert kept.metrics["accuracy"] == pytest.approx(right)
    assert kept.weights is own.weights and kept.members == tuple(members)
    assert kept.metrics["ensemble_gain"] == pytest.approx(right - own.metrics["accuracy"])
    assert kept.metrics["ensemble_gain_low"] <= kept.metrics["ensemble_gain"] <= kept.metrics["ensemble_gain_high"]
    assert [name for name, *_ in kept.scores] == ["validation", "validation, the run's own model", "cross-validation"]
    assert (kept.origin["made_by"], kept.origin["gain"]) == ("folds", kept.metrics["ensemble_gain"])
    assert "gain over the run's own model" in kept.sections[-1].note


def test_a_soup_rejects_a_bad_ingredient(stage, tmp_path):
    context, planned = stage("soup", learning_rate=0.3)
    good = list(cross_validate(context, planned, 5, RunDir(tmp_path), Watch().reporters).models)
    own = own_model(planned, good[0])
    assert own.metrics["accuracy"] > 0.6
    bad = {name: -50 * value if name.startswith("layers.3") else value for name, value in good[0].items()}
    kept = soup_of_folds(context, planned, own, [bad])
    assert kept.weights is own.weights
    assert kept.origin == {"made_by": "soup", "ingredients": 1}
    assert kept.metrics == own.metrics and not kept.members
    assert "which is kept" in kept.sections[-1].note
    mixed = soup_of_folds(context, planned, own, [bad, good[0]])
    assert mixed.origin["ingredients"] == 2
    assert mixed.metrics["accuracy"] == own.metrics["accuracy"]
    for name, value in mean_weights([good[0], good[0]]).items():
        assert torch.equal(mixed.weights[name], value)


def mixture(places, score):
    return Mixture(tuple(places), score, {}, [])


def test_the_greedy_soup_tries_the_best_first_and_keeps_what_does_not_lower_its_score():
    tried = []

    def mix(places):
        tried.append(tuple(places))
        return mixture(places, {(0, 2): 0.8, (0, 2, 1): 0.7, (0, 2, 3): 0.8, (0, 2, 3, 4): None}[tuple(places)])

    alone = [mixture([place], score) for place, score in enumerate([0.75, 0.6, 0.9, 0.5, None])]
    assert greedy(alone, mix) == mixture([0, 2, 3], 0.8)
    assert tried == [(0, 2), (0, 2, 1), (0, 2, 3), (0, 2, 3, 4)]
    assert greedy(alone[:2], lambda places: mixture(places, 0.7)) is alone[0]


def test_each_model_is_evaluated_once(stage, monkeypatch):
    context, planned = stage("soup")
    own, others = own_model(planned, weights_of(0)), [weights_of(seed) for seed in (1, 2)]
    evaluate, evaluated = Predictor.evaluate, []
    monkeypatch.setattr(Predictor, "evaluate", lambda self, samples: evaluated.append(self) or evaluate(self, samples))
    assert soup_of_folds(context, planned, own, [weights_of(0), *others]).origin["ingredients"] > 1
    assert len(evaluated) == 4 + 3  # each alone, and as many mixtures as there are ingredients
    ensemble_of_folds(context, planned, own, others)
    assert [len(predictor.models) for predictor in evaluated[7:]] == [1, 2]


def test_mean_weights():
    one = {"weight": torch.tensor([1.0, 2.0]), "count": torch.tensor(3), "half": torch.tensor([1.0]).half()}
    other = {"weight": torch.tensor([3.0, 6.0]), "count": torch.tensor(5), "half": torch.tensor([2.0]).half()}
    mean = mean_weights([one, other])
    assert mean["weight"].tolist() == [2.0, 4.0]
    assert mean["count"] == 3
    assert mean["half"].dtype == torch.float16 and mean["half"].item() == 1.5


class Normalized(TinyModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


def test_statistics_are_the_mean_over_the_training_images():
    task = MeanTask(None, tiny_config(), None, ["a", "b", "c"])
    data = task.dataset([None] * 24, training=False)
    batches = [task.collate([data[place] for place in range(start, start + 8)]) for start in (0, 8, 16)]
    model = Normalized()
    model.layers[0].running_mean.fill_(9)
    model.layers[2].running_mean.fill_(9)
    before = {name: value.clone() for name, value in model.named_parameters()}
    recompute_statistics(model, batches, [model.layers[2]])
    inputs = torch.stack([batch["inputs"] for batch in batches])
    assert torch.allclose(model.layers[0].running_mean, inputs.mean((0, 1)), atol=1e-6)
    assert torch.allclose(model.layers[0].running_var, inputs.var(1).mean(0), atol=1e-5)
    assert (model.layers[2].running_mean == 9).all()
    assert model.layers[0].momentum == 0.1 and not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())


def refitted(stage, folder, watch, **keys):
    context, planned = stage("none", **keys)
    run = RunDir(folder)
    folds = cross_validate(context, planned, 4, run, Watch().reporters)
    return refit(context, planned, run, own_model(planned, weights_of(0)), folds, watch.reporters), folds, planned


def test_a_refit_sees_all_cases_and_has_the_score_of_the_folds(stage, tmp_path):
    watch = Watch()
    kept, folds, planned = refitted(stage, tmp_path, watch)
    [training] = watch.trainings
    assert watch.numbers == [4]
    assert [sample.key for sample in training.train] == [sample.key for sample in planned.dataset.index.samples]
    assert watch.updates == 4 * training.sampler.steps_per_epoch
    assert kept.origin == {"made_by": "refit", "epochs": 4, "images": 24, "cases": 24}
    assert (kept.metrics["accuracy"], kept.metrics["accuracy_low"]) == (folds.score, folds.interval.low)
    assert len(kept.results) == len(kept.samples) == 24
    assert [result["index"] for result in kept.results] == list(range(24))
    assert [name for name, *_ in kept.scores] == ["cross-validation", "validation, before the refit"]
    assert "Refitted on all 24 images, 24 cases, for 4 epochs like each fold" in kept.sections[0].note
    assert any((value != weights_of(0)[name]).any() for name, value in kept.weights.items())


def test_a_refit_that_was_stopped_ends_as_an_undisturbed_one(stage, tmp_path):
    whole, *_ = refitted(stage, tmp_path / "whole", Watch())
    with pytest.raises(StoppedError):
        refitted(stage, tmp_path / "cut", Watch(stop=3))
    watch = Watch()
    again, *_ = refitted(stage, tmp_path / "cut", watch)
    assert 0 < watch.updates < 4 * watch.trainings[0].sampler.steps_per_epoch
    assert all(torch.equal(value, whole.weights[name]) for name, value in again.weights.items())
    assert again.metrics == whole.metrics


def test_an_ensemble_needs_folds_of_the_training_cases():
    def chosen(dataset, folds, ensemble):
        config = tiny_config()
        return choose_folds(dataset, replace(config, dataset=replace(config.dataset, folds=folds), ensemble=ensemble),
                            1.0)

    assert chosen(tiny_dataset(24, 6), "18", "folds") == (18, "as set")
    with pytest.raises(UserError, match="has 18 cases to train on, as an ensemble keeps validation out"):
        chosen(tiny_dataset(24, 6), "19", "folds")
    with pytest.raises(UserError, match="dataset.folds=auto chose none: 100 validation cases are enough"):
        chosen(tiny_dataset(300, 100), "auto", "soup")
    assert chosen(tiny_dataset(300, 99), "auto", "soup")[0] == 5


def test_a_gain_is_paired_by_case():
    """One case in ten gets right what was wrong: the difference of each resample is the share of that case."""
    samples = tiny_dataset(10, 2).index.samples
    before, after = np.array([1.0] * 5 + [0.0] * 5), np.array([1.0] * 6 + [0.0] * 4)
    found = gain(lambda drawn: drawn @ before / drawn.sum(), lambda drawn: drawn @ after / drawn.sum(), samples, 0)
    assert (found.before, found.value) == (0.5, pytest.approx(0.1))
    assert found.interval.low == 0 and 0.2 <= found.interval.high <= 0.4
    assert str(found).startswith("+0.1000, 95 % confidence interval 0.0000 to 0.")
    undefined = gain(lambda drawn: None, lambda drawn: 1.0, samples, 0)
    assert (undefined.value, undefined.interval.low, undefined.text) == (None, None, "undefined")
