"""Cross-validation with a model of a few numbers: what each training sees, that it goes on, and what is pooled."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import TinyTask, tiny_config, tiny_dataset

from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex, Sample
from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.engine.pipeline.cross_validation import choose_folds, cross_validate, pooled
from sightsmith.engine.pipeline.replay import PREFIX
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.runs.run_dir import RunDir
from sightsmith.engine.training import distributed
from sightsmith.engine.training.bootstrap import interval

PLAN = SimpleNamespace(precision="fp32", memory_format="contiguous", num_workers=0, micro_batch=4, folds=3, repeats=2,
                       ensemble="none")


class Watch:
    """The trainings and the updates of each; ``stop`` says at which update of which training Ctrl-C comes."""

    def __init__(self, stop=None):
        self.stop, self.trainings, self.updates = stop, [], []

    @contextmanager
    def reporters(self, training, epochs, number):
        self.trainings.append(training)
        self.updates.append(0)
        assert number == len(self.trainings)
        yield [self]

    def on_step(self, state, losses, rate):
        self.updates[-1] += 1
        if (len(self.updates), self.updates[-1]) == self.stop:
            os.kill(os.getpid(), signal.SIGINT)

    def on_validation(self, done, batches):
        pass

    def on_warning(self, message):
        pass

    def on_epoch(self, state, metrics):
        pass


def run(folder, watch, checked, epochs=2, plan=PLAN, **keys):
    config = tiny_config(**{"epochs": 5, "batch_size": 4, **keys})
    task = TinyTask(None, config, None, ["a", "b", "c"])
    state = distributed.open_state()
    try:
        planned = PlannedRun(config, task, checked, checked, None, None, plan, None)
        return cross_validate(RunContext.of(config, [], None, state, None), planned, epochs, RunDir(folder),
                              watch.reporters)
    finally:
        distributed.close_state(state)


def test_each_image_is_left_out_once_a_repeat_and_trained_on_otherwise(tmp_path):
    watch, checked = Watch(), tiny_dataset(20, 4)
    found = run(tmp_path, watch, checked)
    every = {sample.key for sample in checked.index.samples}
    for repeat in (watch.trainings[:3], watch.trainings[3:]):
        assert sorted(sample.key for training in repeat for sample in training.validation) == sorted(every)
        for training in repeat:
            left_out = {sample.key for sample in training.validation}
            assert {sample.key for sample in training.train} == every - left_out
    assert [training.validation for training in watch.trainings[:3]] != [
        training.validation for training in watch.trainings[3:]]
    assert watch.updates == [2 * training.sampler.steps_per_epoch for training in watch.trainings]
    assert [(fold.repeat, fold.fold, fold.left_out) for fold in found.folds] == [
        (repeat, fold, len(training.validation)) for (repeat, fold), training in zip(
            [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)], watch.trainings, strict=True)]
    assert sorted(path.name for path in (tmp_path / "folds").iterdir()) == ["1-1", "1-2", "1-3", "2-1", "2-2", "2-3"]


def test_what_the_source_was_trained_on_is_left_out_of_no_training(tmp_path):
    fresh, watch = tiny_dataset(12, 3), Watch()
    old = tuple(Sample(Path(f"{number}"), f"{PREFIX}{number:03d}", ("abc"[number % 3],)) for number in range(8))
    index = DatasetIndex(Path(), "", ("a", "b", "c"), (*fresh.index.samples, *old))
    checked = CheckedDataset(index, "", (*fresh.train, *old[2:]), (*fresh.validation, *old[:2]), {}, (), "", "")
    found = run(tmp_path, watch, checked)
    known = {sample.key for sample in old[2:]}
    left_out = [sample.key for training in watch.trainings[:3] for sample in training.validation]
    assert sorted(left_out) == sorted(sample.key for sample in (*fresh.index.samples, *old[:2]))
    assert all(known <= {sample.key for sample in training.train} for training in watch.trainings)
    assert found.interval.cases == 14
    with pytest.raises(UserError, match="the data set has 14 cases"):
        chosen(checked, "15")


def test_the_images_left_out_stop_no_training(tmp_path):
    watch = Watch()
    run(tmp_path, watch, tiny_dataset(20, 4), epochs=3, learning_rate=0.0, patience=1)
    assert watch.updates == [3 * training.sampler.steps_per_epoch for training in watch.trainings]


def test_the_score_is_that_of_all_folds_together_and_of_both_repeats(tmp_path):
    watch, checked = Watch(), tiny_dataset(20, 4)
    found = run(tmp_path, watch, checked)
    images = [fold.left_out for fold in found.folds]
    rights = [fold.score * fold.left_out for fold in found.folds]
    assert sum(images) == 40
    assert found.score == pytest.approx(sum(rights) / 40)
    assert found.interval.cases == 20
    assert found.interval.low <= found.score <= found.interval.high
    assert found.metrics() == {"cv_accuracy": found.score, "cv_accuracy_low": found.interval.low,
                               "cv_accuracy_high": found.interval.high}
    section = found.section()
    assert len(section.rows) == 6
    scores = [fold.score for fold in found.folds]
    for part in (f"{found.score:.4f} of all folds together, mean of 2 repeats", "20 cases", "of 2 epochs",
                 f"of each fold mean {np.mean(scores):.4f}, standard deviation {np.std(scores, ddof=1):.4f}"):
        assert part in section.note


def test_images_of_a_group_are_left_out_and_drawn_together(tmp_path):
    """In each repeat an image is right or wrong; the interval draws groups, an image alike in both repeats."""
    checked = tiny_dataset(20, 4)
    grouped = tuple(Sample(sample.path, sample.name, sample.labels, group=f"{place // 2}")
                    for place, sample in enumerate(checked.index.samples))
    checked = CheckedDataset(DatasetIndex(Path(), "", ("a", "b", "c"), grouped), "", grouped[4:], grouped[:4], {}, (),
                             "", "")
    watch = Watch()
    found = run(tmp_path, watch, checked)
    for training in watch.trainings:
        assert not {sample.group for sample in training.train} & {sample.group for sample in training.validation}
    right = {}
    for training in watch.trainings:
        model = training.model.eval()
        batch = training.task.collate([training.validation_data[place] for place in range(len(training.validation))])
        for sample, outcome in zip(training.validation, training.task.evaluation_step(model, batch), strict=True):
            right.setdefault(sample.key, []).append(outcome["right"])
    values = np.array([np.mean(right[sample.key]) for sample in grouped])
    expected = interval(lambda drawn: float(drawn @ values / drawn.sum()), grouped, seed=0)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))
    assert found.interval.cases == 10


def test_repeats_are_pooled_case_by_case():
    """The folds of each repeat come in an order of their own."""
    task, samples = TinyTask(None, tiny_config(), None, ["a", "b", "c"]), tiny_dataset(30, 4).index.samples
    pairs = [(sample, {"index": 0, "loss": 1.0, "right": place < 20}) for place, sample in enumerate(samples)]
    once = pooled(task, [pairs], seed=0)
    assert once[0] == pytest.approx(2 / 3)
    assert pooled(task, [pairs, pairs[::-1]], seed=0) == once
    wrong = [(sample, {**outcome, "right": False}) for sample, outcome in pairs]
    assert pooled(task, [pairs, wrong], seed=0)[0] == pytest.approx(1 / 3)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [(2, 8), (6, 1)], ids=["at a training's end", "within one"])
def test_a_stopped_cross_validation_goes_on_and_trains_nothing_twice(tmp_path, stop):
    checked = tiny_dataset(20, 4)
    whole, first = Watch(), Watch(stop)
    expected = run(tmp_path / "whole", whole, checked)
    with pytest.raises(StoppedError):
        run(tmp_path / "cut", first, checked)
    assert first.updates == [*whole.updates[:stop[0] - 1], stop[1]]
    again = Watch()
    assert run(tmp_path / "cut", again, checked) == expected
    done = stop[0] - 1
    assert again.updates == [*[0] * done, whole.updates[done] - stop[1], *whole.updates[done + 1:]]
    last = Watch()
    assert run(tmp_path / "cut", last, checked) == expected
    assert last.updates == [0] * 6


def chosen(dataset: CheckedDataset, folds: str, seconds: float = 1.0, *, in_sweep: bool = False, **budget: float):
    config = tiny_config()
    return choose_folds(dataset, replace(config, dataset=replace(config.dataset, folds=folds),
                                         trainer=replace(config.trainer, **budget)), seconds, in_sweep=in_sweep)


def test_how_many_folds():
    assert chosen(tiny_dataset(300, 99), "none") == (0, "")
    assert chosen(tiny_dataset(300, 99), "auto") == (5, "only 99 validation cases; dataset.folds=none trains once")
    assert chosen(tiny_dataset(300, 100), "auto") == (0, "100 validation cases are enough")
    assert chosen(tiny_dataset(100, 40, group="one study"), "auto") == (0, "1 case is too few")
    assert chosen(tiny_dataset(4, 1), "auto") == (0, "4 cases are too few")
    assert chosen(tiny_dataset(100, 20, split="train"), "auto") == (0, "the data set brings its own split")
    assert chosen(tiny_dataset(300, 100), "7") == (7, "as set")
    assert chosen(tiny_dataset(100, 20), "7", in_sweep=True) == (7, "as set")
    with pytest.raises(UserError, match=r"has 9 cases.*\n.*dataset.folds=9 or less"):
        chosen(tiny_dataset(9, 3), "10")


@pytest.mark.parametrize(("minutes", "budget", "folds"), [(8, None, 5), (9, None, 0), (1, 7, 5), (1, 6, 0)])
def test_folds_that_nobody_asked_for_take_an_hour_or_the_time_budget_at_most(minutes, budget, folds):
    found, reason = chosen(tiny_dataset(100, 20), "auto", minutes * 60, time_budget=budget)  # 7 trainings with a refit
    assert found == folds
    if not folds:
        assert reason.startswith(f"7 trainings may take {'7 min' if minutes == 1 else '1 h'}")
        assert "20 validation cases that choose the epoch" in reason
    assert chosen(tiny_dataset(100, 20), "5", minutes * 60, time_budget=budget) == (5, "as set")


def test_a_sweep_compares_its_runs_on_validation():
    assert chosen(tiny_dataset(100, 20), "auto", in_sweep=True)[0] == 0
