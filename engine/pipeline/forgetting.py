"""Forgetting: the scores of the base run's classes before and after retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from sightsmith.core.contracts.dataset import Sample
from sightsmith.core.contracts.report import Section
from sightsmith.engine.data.convert import renamed
from sightsmith.engine.pipeline.result import Result

Score = float | None


def old_class_scores(base_run: Result, result: Result, rename: Mapping[str, str], samples: Sequence[Sample],
                     device: torch.device) -> dict[str, tuple[Score, Score]]:
    """For each class of both runs, the scores of ``base_run`` and of ``result`` on ``samples``.

    Classes have the names of ``result``; ``rename`` maps the base run's names to these. Both models are evaluated on
    the same data: annotation of other classes is dropped, and so are single-label images of other classes.
    """
    old_names = {new: old for old in base_run.classes if (new := rename.get(old, old)) in result.classes}
    if not result.task.multi_label:
        samples = [sample for sample in samples if not sample.labels or sample.objects or sample.semantic_mask
                   or sample.labels[0] in old_names]
    before = _class_scores(base_run, [renamed(sample, old_names) for sample in samples], device)
    after = _class_scores(result, [renamed(sample, {name: name for name in old_names}) for sample in samples], device)
    return {new: (before[old], after[new]) for new, old in old_names.items()}


def _class_scores(result: Result, samples: Sequence[Sample], device: torch.device) -> dict[str, Score]:
    if not samples:
        return dict.fromkeys(result.classes)
    metrics = result.task.metrics(result.predictor.to(device).evaluate(samples))
    return {name: metrics.get(f"{result.task.class_score}/{name}") for name in result.classes}


def means(scores: Mapping[str, tuple[Score, Score]]) -> tuple[Score, Score]:
    """The mean scores before and after, over the classes whose scores are both defined."""
    pairs = [(before, after) for before, after in scores.values() if before is not None and after is not None]
    if not pairs:
        return None, None
    before, after = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    return before, after


def section(scores: Mapping[str, tuple[Score, Score]], name: str) -> Section:
    """The report's section about ``scores``, values of the metric ``name``."""
    rows = [(label, before, after) for label, (before, after) in scores.items()]
    before, after = means(scores)
    return Section("Old classes", header=("class", f"{name} of the base run", f"{name} after retraining"),
                   rows=(*rows, ("mean", before, after)), name="old-classes",
                   note="Scores of the base run's classes on the validation images.")
