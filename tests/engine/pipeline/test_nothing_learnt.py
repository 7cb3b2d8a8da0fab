"""A score that a constant answer reaches is called that, with likely reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny import TinyTask, tiny_config

import sightsmith
from sightsmith.core.contracts.dataset import CheckedDataset, DatasetIndex, Sample
from sightsmith.engine.pipeline.nothing_learnt import compare_with_baseline, likely_reasons

RUN = ["task=classification", "network=shufflenet_v2_x0_5", "network.weights=none", "image.size=32",
       "trainer.precision=fp32", "trainer.memory_format=contiguous", "logger=[]", "trainer.devices=1",
       "augment.resized_crop=false", "dataset.validation_percentage=40", "hyper.optimizer=adamw",
       "dataset.folds=none"]


class Constant(TinyTask):
    def baseline(self, train, results):
        return "class a", [{**result, "right": result["index"] % 3 == 0} for result in results]


def compared(rights):
    samples = tuple(Sample(Path(f"{number}"), f"{number}") for number in range(len(rights)))
    dataset = CheckedDataset(DatasetIndex(Path(), "", ("a",), samples), "", samples, samples, {}, (), "", "")
    results = [{"index": number, "loss": 1.0, "right": right} for number, right in enumerate(rights)]
    return compare_with_baseline(Constant(None, tiny_config(), None, ["a"]), dataset, results, 0)


def test_a_better_score_beats_the_baseline_on_the_same_cases():
    estimate, baseline = compared([number % 3 < 2 for number in range(60)])
    assert (baseline.score, baseline.beaten) == (pytest.approx(1 / 3), True)
    assert 0 < baseline.gain.low < 1 / 3 < baseline.gain.high < 0.5
    assert estimate.low < 2 / 3 < estimate.high


@pytest.mark.parametrize("rights", [[number % 3 == 0 for number in range(60)], [False] * 60,
                                    [number % 3 == 1 for number in range(60)]],
                         ids=["the same", "nothing", "as good on others"])
def test_a_score_that_is_not_above_does_not(rights):
    _, baseline = compared(rights)
    assert not baseline.beaten
    text = baseline.warning("accuracy", sum(rights) / 60, ["a reason", "another"])
    assert "is not significantly above 0.3333, that of predicting class a (difference: 95 % confidence interval" in text
    assert text.endswith("\nLikely reasons:\n- a reason\n- another")


def test_few_cases_are_a_reason_of_their_own():
    _, baseline = compared([True, False, False, True, True, False])
    assert not baseline.beaten
    assert "only 6 cases, too few to tell: dataset.folds=5" in baseline.warning("accuracy", 0.5, [])
    assert "dataset.folds" not in baseline.warning("accuracy", 0.5, [], folds=5)


def test_of_a_single_case_only_the_score_tells():
    assert not compared([True])[1].beaten  # the constant is right too


def history(*losses):
    return [{"epoch": number, "train_loss": loss} for number, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(("losses", "says"), [
    ((2.3, 2.29, 2.28), "hyper.learning_rate=0.05 may be too low"), ((2.3, 9.0, 5.0), "hyper.learning_rate=0.05 is too "
                                                                     "high"),
    ((2.3, 0.4), "the labels do not follow from the images"), ((2.3, 1.5), ""), ((2.3,), ""),
])
def test_the_course_of_the_loss_is_a_reason(losses, says):
    dataset = SimpleNamespace(train=(), infos={})
    task = TinyTask(None, tiny_config(), None, [])
    reasons = likely_reasons(task, dataset, history(*losses), 500)
    assert (says in reasons[0] and len(reasons) == 1) if says else not reasons
    [*_, last] = likely_reasons(task, dataset, history(*losses), 2)
    assert last == f"there were only {2 * len(losses)} optimizer steps: raise hyper.epochs"


def test_contradicting_labels_and_rare_classes_are_reasons():
    samples = [Sample(Path(f"{number}"), f"{number}", ("a" if number else "b",)) for number in range(8)]
    infos = {sample.name: SimpleNamespace(digests=(str(int(sample.name) // 2),)) for sample in samples}
    dataset = SimpleNamespace(train=tuple(samples), infos=infos)
    task = TinyTask(None, tiny_config(), None, ["a", "b"])
    first, second = likely_reasons(task, dataset, history(2.0), 500)
    assert first == "identical training images have different labels: 0 and 1"
    assert second.startswith("rare in training: b;")
    same = replace(samples[0], labels=("a",))
    assert len(likely_reasons(task, SimpleNamespace(train=(same, *samples[1:]), infos=infos), history(2.0), 500)) == 1


def shades(folder, *, shuffled=False):
    """Pictures, dark or bright by their class, or by chance."""
    for number in range(40):
        bright = np.random.default_rng(number).integers(2) if shuffled else number % 2
        values = np.random.default_rng(number).integers(0, 60, (32, 32)) + 180 * bright
        place = folder / ("light" if number % 2 else "night")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(place / f"{number}.png")
    return f"dataset.root={folder}"


@pytest.mark.parametrize(("learns", "settings"), [
    pytest.param(True, ["hyper.epochs=4", "network=resnet18"], marks=pytest.mark.slow),
    (False, ["hyper.epochs=2", "hyper.learning_rate=1e-6"])])
def test_a_run_says_whether_it_learnt(tmp_path, capsys, learns, settings):
    result = sightsmith.train([*RUN, shades(tmp_path / "data"), f"output_dir={tmp_path / 'runs'}", *settings,
                               "hyper.batch_size=4"])
    status = json.loads((result.run_dir / "status.json").read_text())
    assert status["nothing_learnt"] is not learns
    assert status["baseline"] == 0.5
    warning = "The score does not show that anything was learnt"
    page, output = (result.run_dir / "report" / "index.html").read_text(), capsys.readouterr().out
    assert (warning in page, f"warning: {warning}" in output) == (not learns, not learns)
    if not learns:
        assert "hyper.learning_rate=1e-06 may be too low" in page and "may be too low" in status["warnings"][0]
        assert page.index(warning) < page.index("<h2>Score</h2>")
