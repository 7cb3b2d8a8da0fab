"""What becomes of the models of the folds: an ensemble that predicts together, or one model with their mean weights.

All of them have left out the validation split, which therefore shows what they gain over the run's own model. It has
chosen that model's epoch and the ingredients of a soup, so the scores of these two are slightly optimistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from sightsmith.core.contracts.report import Section
from sightsmith.core.contracts.results import Model, SampleResult
from sightsmith.core.contracts.task import Task
from sightsmith.core.util.text import format_metric
from sightsmith.engine.pipeline.inference import Predictor, batches
from sightsmith.engine.pipeline.kept_model import KeptModel, Weights, measured
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.training import distributed
from sightsmith.engine.training.batch_norm import recompute_statistics
from sightsmith.engine.training.bootstrap import gain
from sightsmith.engine.training.trainer import seed_everything

Score = float | None


@dataclass(frozen=True)
class Mixture:
    """The mean of the models at ``places``, with its results and score on validation."""

    places: tuple[int, ...]
    score: Score
    weights: Weights
    results: list[SampleResult]


def ensemble_of_folds(context: RunContext, planned: PlannedRun, own: KeptModel, members: Sequence[Weights],
                      ) -> KeptModel:
    """``own`` with ``members``, the models of the folds, which predict together. Called on every rank."""
    before, results = distributed.on_main(context.state, lambda: [
        _evaluated(context, planned, *(_loaded(planned.task, weights) for weights in together))
        for together in ([own.weights], members)])
    name = f"Ensemble of {len(members)} fold models"
    return replace(_compared(context, planned, own, before, results, "folds", name), members=tuple(members))


def soup_of_folds(context: RunContext, planned: PlannedRun, own: KeptModel, ingredients: Sequence[Weights],
                  ) -> KeptModel:
    """The mean of ``own`` and of those ``ingredients``, the models of the folds, that validation agrees with; ``own``
    itself if there are none. Called on every rank."""
    alone, soup = distributed.on_main(context.state, lambda: _soup(context, planned, [own.weights, *ingredients]))
    if len(soup.places) == 1:
        context.console.print(f"Soup: the mean of the run's own model with any of the {len(ingredients)} fold models "
                              "is worse on validation, so the run's own model is kept")
        section = Section("Soup", "The mean of the run's own model with any fold model scored lower on validation than "
                          "the run's own model, which is kept.")
        return replace(own, origin={"made_by": "soup", "ingredients": 1}, sections=(*own.sections, section))
    name = f"Soup of the run's own model and {len(soup.places) - 1} of {len(ingredients)} fold models"
    found = _compared(context, planned, own, alone.results, soup.results, "soup", name)
    return replace(found, weights=soup.weights, origin=found.origin | {"ingredients": len(soup.places)})


def _compared(context: RunContext, planned: PlannedRun, own: KeptModel, before: list[SampleResult],
              results: list[SampleResult], made_by: str, name: str) -> KeptModel:
    """``own``, whose results on validation are ``before``, with the ``results`` of what ``name`` says, which is to
    predict instead."""
    task, samples = planned.task, planned.dataset.validation
    gained = distributed.on_main(context.state, lambda: gain(
        task.bootstrap_score(before), task.bootstrap_score(results), samples, task.config.trainer.seed))
    metrics, estimate = measured(context, task, results, samples)
    said = (f"{name}: {task.score} {format_metric(metrics[task.score])}, {estimate}; "
            f"gain over the run's own model {gained}")
    context.console.print(said)
    [(_, own_score, own_interval), *others] = own.scores
    others = [("validation, the run's own model", own_score, own_interval), *others]
    cross_validated = {key: value for key, value in own.metrics.items() if key.startswith("cv_")}
    note = f"{said}. No model of a fold has been trained on validation cases."
    return replace(own, results=results, metrics={**metrics, **cross_validated, **gained.to_json("ensemble_gain")},
                   scores=(("validation", metrics[task.score], estimate), *others),
                   origin={"made_by": made_by, **gained.to_json("gain")},
                   sections=(*own.sections, Section("Soup" if made_by == "soup" else "Ensemble", note)))


def _soup(context: RunContext, planned: PlannedRun, every: Sequence[Weights]) -> tuple[Mixture, Mixture]:
    """The first model of ``every`` alone, and the soup, which is the same if no other model gets in."""
    task = planned.task

    def mixture(places: Sequence[int], model: Model, weights: Weights) -> Mixture:
        results = _evaluated(context, planned, model)
        return Mixture(tuple(places), task.metrics(results)[task.score], weights, results)

    def mixed(places: Sequence[int]) -> Mixture:
        model = _loaded(task, mean_weights([every[place] for place in places])).to(context.state.device)
        seed_everything(task.config.trainer.seed)
        frozen = task.backbone(model) if task.config.hyper.backbone_lr_scale == 0 else ()
        recompute_statistics(model, batches(task, planned.dataset.train), frozen)
        return mixture(places, model, {name: value.cpu() for name, value in model.state_dict().items()})

    alone = [mixture([place], _loaded(task, weights), weights) for place, weights in enumerate(every)]
    return alone[0], greedy(alone, mixed)


def greedy(alone: Sequence[Mixture], mix: Callable[[Sequence[int]], Mixture]) -> Mixture:
    """The mixture that is kept: of the first model, and each other, the best ``alone`` first, that does not lower the
    score of the mean.

    Greedy soup: M. Wortsman et al.: Model soups: averaging weights of multiple fine-tuned models improves accuracy
    without increasing inference time, ICML 2022, recipe 1; here the first is the run's own model, not the best.
    """
    best, *others = alone
    for other in sorted(others, key=lambda other: -_number(other.score)):
        found = mix([*best.places, *other.places])
        if _number(found.score) >= _number(best.score):
            best = found
    return best


def _number(score: Score) -> float:
    return float("-inf") if score is None else score


def mean_weights(models: Sequence[Weights]) -> Weights:
    """The mean of each tensor of floats; counters are those of the first."""
    return {name: torch.stack([model[name].double() for model in models]).mean(0).to(value.dtype)
            if value.is_floating_point() else value for name, value in models[0].items()}


def _evaluated(context: RunContext, planned: PlannedRun, *models: Model) -> list[SampleResult]:
    """What ``models`` together come to on validation."""
    return Predictor(planned.task, models).to(context.state.device).evaluate(planned.dataset.validation)


def _loaded(task: Task, weights: Weights) -> Model:
    model, _ = task.build_model(load_weights=False)
    model.load_state_dict(weights)
    return model.eval()
