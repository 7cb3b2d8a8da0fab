"""Runs that keep an ensemble, a soup or a refit: their bundle, prediction, evaluation, verification and export."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from shared_runs import copied
from small_runs import BOXES, LABELS, MAPS, SMALL

import sightsmith
from sightsmith.core.util.errors import ExportError, UserError
from sightsmith.engine.pipeline import verify
from sightsmith.engine.pipeline.evaluate import evaluate
from sightsmith.engine.pipeline.export import export
from sightsmith.engine.pipeline.inference import Predictor
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.engine.runs.bundle import all_tensors, open_members
from sightsmith.engine.runs.checkpoint import load_tree, save_tree, tensors_digest
from sightsmith.engine.runs.lockfile import read_lock
from sightsmith.engine.runs.run_dir import RunDir

FEW = [*LABELS, "dataset.limit=60", "dataset.folds=2"]


def card(result):
    return json.loads((result.run_dir / "model" / "model.json").read_text())


def status(result):
    return json.loads((result.run_dir / "status.json").read_text())


@pytest.fixture(scope="module")
def ensemble(trained):
    return trained("ensemble", *FEW, "ensemble=folds")


@pytest.mark.slow
def test_an_ensemble_is_predicted_evaluated_and_verified(ensemble, tmp_path):
    members = open_members(ensemble.run_dir, ensemble.task)
    assert sorted(path.name for path in (ensemble.run_dir / "model").iterdir()) == [
        "member-1.safetensors", "member-2.safetensors", "model.json", "model.safetensors"]
    assert (card(ensemble)["members"], card(ensemble)["origin"]["made_by"]) == (2, "folds")
    sample = check(ensemble.task.config, ensemble.plugins, lambda line: None).validation[0]
    alone = [next(iter(sightsmith.load(ensemble.run_dir).predict([sample.path]))) for _ in range(1)]
    each = []
    for member in members:
        single = sightsmith.load(ensemble.run_dir)
        single.__dict__["predictor"] = Predictor(single.task, (member,))
        [found] = single.predict([sample.path])
        each.append([found.scores[name] for name in ensemble.classes])
    assert [alone[0].scores[name] for name in ensemble.classes] == pytest.approx(np.mean(each, axis=0), abs=1e-6)
    found = evaluate(ensemble, split="validation", output_dir=tmp_path).splits["validation"]
    for name, value in found.metrics.items():
        assert value == pytest.approx(ensemble.metrics[name], abs=1e-5), name
    assert status(ensemble)["score"] == ensemble.metrics["accuracy"]
    page = ensemble.report.read_text()
    assert "<h2>Ensemble</h2>" in page and "gain over the run&#39;s own model" in page
    assert "accuracy, validation, the run&#39;s own model" in page
    assert read_lock(RunDir(ensemble.run_dir).lock)["bundle"] == tensors_digest(all_tensors(ensemble.run_dir))


@pytest.mark.slow
def test_a_member_that_changed_or_went_is_noticed(ensemble, tmp_path):
    changed = copied(ensemble, tmp_path)

    def bundle():
        [found] = [item for item in verify.check_run(changed.run_dir, lambda line: None, changed.plugins)
                   if item.part == "bundle"]
        return found.state

    assert bundle() == verify.SAME
    path = changed.run_dir / "model" / "member-2.safetensors"
    tree = load_tree(path)
    name = next(name for name, value in tree["model"].items() if value.is_floating_point())
    tree["model"][name] += 1
    save_tree(path, tree)
    assert bundle() == verify.CHANGED
    path.unlink()
    assert bundle() == verify.CHANGED
    with pytest.raises(UserError, match="member-2.safetensors is damaged or not"):
        next(iter(sightsmith.load(changed.run_dir).predict([__file__.replace(".py", ".png")])))


@pytest.mark.slow
def test_an_ensemble_exports_as_one_module(ensemble, tmp_path):
    found = export(ensemble, "torchscript", ensemble.plugins, output_dir=tmp_path)
    assert found.parity.original == found.parity.exported == pytest.approx(ensemble.metrics["accuracy"])
    module = torch.jit.load(str(found.folder / "model.pt"))
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    [said] = ensemble.predict([path])
    images = torch.from_numpy(np.asarray(Image.open(path)).transpose(2, 0, 1)[None] / 255).float()
    with torch.no_grad():
        [probabilities] = module(images)
    assert probabilities[0].tolist() == pytest.approx([said.scores[name] for name in ensemble.classes], abs=1e-4)


@pytest.mark.slow
def test_an_ensemble_of_maps_exports_and_one_of_boxes_says_why_not(trained, tmp_path):
    maps = trained("map_ensemble", *SMALL, *MAPS, "dataset.folds=2", "ensemble=folds")
    found = export(maps, "torchscript", maps.plugins, output_dir=tmp_path)
    assert found.parity.mismatch_ratio == 0
    boxes = trained("box_ensemble", *SMALL, *BOXES, "dataset.folds=2", "ensemble=folds")
    assert len(boxes.predictor.models) == 2
    sample = check(boxes.task.config, boxes.plugins, lambda line: None).validation[0]
    [said] = boxes.predict([sample.path])
    assert all(0 <= item.score <= 1 for item in said.objects)
    with pytest.raises((UserError, ExportError), match="cannot be traced") as refused:
        export(boxes, "torchscript", boxes.plugins, output_dir=tmp_path)
    assert "ensemble=soup" in refused.value.hint


@pytest.mark.slow
def test_a_soup_is_one_model_that_says_what_it_is_made_of(trained, tmp_path):
    soup = trained("soup", *FEW, "ensemble=soup", "hyper.learning_rate=0.01")
    assert card(soup)["members"] == 0
    origin = card(soup)["origin"]
    assert origin["made_by"] == "soup" and 1 <= origin["ingredients"] <= 3
    assert "<h2>Soup</h2>" in soup.report.read_text()
    found = evaluate(soup, split="validation", output_dir=tmp_path).splits["validation"]
    assert found.metrics["accuracy"] == pytest.approx(soup.metrics["accuracy"], abs=1e-6)


@pytest.mark.slow
def test_a_refit_is_kept_with_the_score_of_the_folds(trained, tmp_path):
    """``dataset.refit=auto``: 10 validation cases are few."""
    refit = trained("refit", *FEW)
    origin = card(refit)["origin"]
    assert (origin["made_by"], origin["images"], origin["cases"]) == ("refit", 60, 60)
    assert refit.metrics["accuracy"] == refit.metrics["cv_accuracy"] == status(refit)["score"]
    assert refit.metrics["accuracy_low"] == refit.metrics["cv_accuracy_low"]
    assert (refit.run_dir / "refit" / "checkpoints" / "last" / "state.safetensors").is_file()
    page = refit.report.read_text()
    assert "Refitted on all 60 images, 60 cases, for" in page
    assert "accuracy, validation, before the refit" in page and "loss, cross-validation" in page
    warnings = []
    evaluate(refit, split="validation", output_dir=tmp_path, report=warnings.append)
    assert any("was refitted on its training and validation images" in line for line in warnings)
    checks = verify.check_run(refit.run_dir, lambda line: None, refit.plugins)
    again = verify.train_again(refit.run_dir, checks, refit.plugins)
    assert again.same


@pytest.mark.parametrize(("overrides", "expected"), [
    (["ensemble=folds", "dataset.folds=none"], "ensemble=folds: there are no folds"),
    (["dataset.refit=true", "dataset.folds=none"], "dataset.refit=true: there are no folds"),
    (["ensemble=soup", "dataset.folds=5", "dataset.refit=true"], "both decide which model is kept"),
    (["ensemble=mean", "dataset.folds=5"], "ensemble=mean is not one of none, folds, soup"),
    (["dataset.refit=maybe"], "dataset.refit=maybe is none of auto, true and false"),
])
def test_mistakes_are_user_errors(tmp_path, overrides, expected):
    with pytest.raises(UserError, match=expected):
        sightsmith.train([*LABELS, f"output_dir={tmp_path}", *overrides])
    assert not list(tmp_path.iterdir())
