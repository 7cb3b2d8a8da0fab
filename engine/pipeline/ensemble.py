"""What becomes of the models of the folds: an ensemble that predicts together, or one model with their mean weights.

All of them have left out the validation split, which therefore shows what they gain over the run's own model. It has
chosen that model's epoch and the ingredients of a soup, so the scores of these two are slightly optimistic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

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
from sightsmith.engine.training.bootstrap import Gain, gain
from sightsmith.engine.training.trainer import seed_everything

Score = float | None


def ensemble_of_folds(context: RunContext, planned: PlannedRun, own: KeptModel, members: Sequence[Weights],
                      ) -> KeptModel:
    """``own`` with ``members``, the models of the folds, which predict together. Called on every rank."""
    task = planned.task

    def evaluate() -> list[SampleResult]:
        models = tuple(_loaded(task, weights) for weights in members)
        return Predictor(task, models).to(context.state.device).evaluate(planned.dataset.validation)

    results = distributed.on_main(context.state, evaluate)
    name = f"Ensemble of {len(members)} fold models"
    return replace(_compared(context, planned, own, results, "folds", name), members=tuple(members))


def soup_of_folds(context: RunContext, planned: PlannedRun, own: KeptModel, ingredients: Sequence[Weights],
                  ) -> KeptModel:
    """The mean of ``own`` and of those ``ingredients``, the models of the folds, that validation agrees with; ``own``
    itself if there are none. Called on every rank."""
    chosen, weights, results = distributed.on_main(context.state, lambda: _soup(context, planned, own, ingredients))
    if chosen == [0]:
        context.console.print(f"Soup: the mean of the run's own model with any of the {len(ingredients)} fold models "
                              "is worse on validation, so the run's own model is kept")
        section = Section("Soup", "The mean of the run's own model with any fold model scored lower on validation than "
                          "the run's own model, which is kept.")
        return replace(own, origin={"made_by": "soup", "ingredients": 1}, sections=(*own.sections, section))
    name = f"Soup of the run's own model and {len(chosen) - 1} of {len(ingredients)} fold models"
    found = _compared(context, planned, own, results, "soup", name)
    return replace(found, weights=weights, origin=found.origin | {"ingredients": len(chosen)})


def _compared(context: RunContext, planned: PlannedRun, own: KeptModel, results: list[SampleResult], made_by: str,
              name: str) -> KeptModel:
    """``own`` with the ``results`` on validation of what ``name`` says, which is to predict instead."""
    task, samples = planned.task, planned.dataset.validation

    def compare() -> Gain:
        before = Predictor(task, (_loaded(task, own.weights),)).to(context.state.device).evaluate(samples)
        return gain(task.bootstrap_score(before), task.bootstrap_score(results), samples, task.config.trainer.seed)

    gained = distributed.on_main(context.state, compare)
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


def _soup(context: RunContext, planned: PlannedRun, own: KeptModel, ingredients: Sequence[Weights],
          ) -> tuple[list[int], Weights, list[SampleResult]]:
    task, device, validation = planned.task, context.state.device, planned.dataset.validation

    def evaluated(model: Model) -> list[SampleResult]:
        return Predictor(task, (model,)).to(device).evaluate(validation)

    def mixed(places: Sequence[int]) -> tuple[Weights, list[SampleResult]]:
        model = _loaded(task, mean_weights([every[place] for place in places])).to(device)
        seed_everything(task.config.trainer.seed)
        frozen = task.backbone(model) if task.config.hyper.backbone_lr_scale == 0 else ()
        recompute_statistics(model, batches(task, planned.dataset.train), frozen)
        return {name: value.cpu() for name, value in model.state_dict().items()}, evaluated(model)

    def score(results: list[SampleResult]) -> Score:
        return task.metrics(results)[task.score]

    every = [own.weights, *ingredients]
    alone = [score(evaluated(_loaded(task, weights))) for weights in every]
    chosen = greedy(alone, lambda places: score(mixed(places)[1]))
    return chosen, *(mixed(chosen) if len(chosen) > 1 else (own.weights, own.results))


def greedy(alone: Sequence[Score], score_of: Callable[[Sequence[int]], Score]) -> list[int]:
    """The places of the models whose mean is kept: the first, and each other, the best ``alone`` first, that does not
    lower the score of the mean.

    Greedy soup: M. Wortsman et al.: Model soups: averaging weights of multiple fine-tuned models improves accuracy
    without increasing inference time, ICML 2022, recipe 1; here the first is the run's own model, not the best.
    """
    chosen, best = [0], alone[0]
    for place in sorted(range(1, len(alone)), key=lambda place: -_number(alone[place])):
        found = score_of([*chosen, place])
        if _number(found) >= _number(best):
            chosen, best = [*chosen, place], found
    return chosen


def _number(score: Score) -> float:
    return float("-inf") if score is None else score


def mean_weights(models: Sequence[Weights]) -> Weights:
    """The mean of each tensor of floats; counters are those of the first."""
    return {name: torch.stack([model[name].double() for model in models]).mean(0).to(value.dtype)
            if value.is_floating_point() else value for name, value in models[0].items()}


def _loaded(task: Task, weights: Weights) -> Model:
    model, _ = task.build_model(load_weights=False)
    model.load_state_dict(weights)
    return model.eval()
