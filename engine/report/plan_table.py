"""The plan of a run, and what the auto tuner recommends, as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sightsmith.core.contracts.keys import format_override
from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.util.text import format_duration, printable


def plan_rows(plan: Plan) -> list[tuple[str, str]]:
    """Label and text, for the console and the report."""
    images = f"{plan.batch_size} images"
    if plan.gradient_accumulation > 1:
        images += f" × {plan.gradient_accumulation} accumulated"
    if plan.micro_batch < plan.batch_size:
        images += f", {plan.micro_batch} at once ({plan.micro_batch_reason})"
    time = f"{format_duration(plan.estimated_seconds)} without early stopping"
    cross = []
    if plan.folds:
        repeats = f" × {plan.repeats} repeats" if plan.repeats > 1 else ""
        each = format_duration(plan.estimated_seconds / plan.trainings)
        time += f": {plan.trainings} trainings of at most {each}"
        cross = [("cross-validation", f"{plan.folds} folds{repeats} ({plan.folds_reason}), after the final "
                                      "model is trained")]
        if plan.refit:
            cross.append(("refit", f"the kept model is trained once more, on all images ({plan.refit}); its score is "
                                   "that of the folds"))
        if plan.ensemble != "none":
            cross.append(("ensemble", f"{plan.ensemble}, of {plan.folds * plan.repeats} models trained on folds of "
                                      "the training images"))
    elif plan.folds_reason:
        cross = [("cross-validation", f"none ({plan.folds_reason})")]
    return [
        ("run", plan.name), ("task", f"{plan.task}, {plan.classes} classes"),
        ("network", f"{plan.network}, input {plan.input_size} px"), ("starting weights", plan.weights),
        ("images", f"{plan.train_images} for training, {plan.validation_images} for validation"),
        *([("left out", f"{len(plan.left_out)} images that cannot be read: {', '.join(plan.left_out)}")]
          if plan.left_out else []),
        ("epochs", f"{plan.epochs}, optimizer steps in each: {plan.steps_per_epoch} of {images}"),
        ("optimizer", plan.optimizer), ("device", f"{plan.devices} × {plan.device}"),
        ("precision", f"{plan.precision} {plan.memory_format} ({plan.mode_reason})"),
        ("image workers", str(plan.num_workers)), *cross, ("estimated time", time),
        ("estimated memory", f"{plan.estimated_memory / 2**30:.1f} GiB per device"),
    ]


def plan_table(plan: Plan) -> Table:
    table = Table(show_header=False, title="Plan", title_justify="left")
    for label, text in plan_rows(plan):
        table.add_row(label, text)
    return table


SETTINGS = ("hyperparameter", "value", "from")


def settings_rows(plan: Plan) -> list[tuple[str, str, str]]:
    """For the console and the report, under :data:`SETTINGS`."""
    return [(item.key, format_override(item.value), ": ".join(filter(None, (item.origin, item.reason))))
            for item in plan.settings]


def settings_table(plan: Plan) -> Table:
    table = Table(*SETTINGS, title="Hyperparameters", title_justify="left")
    for row in settings_rows(plan):
        table.add_row(*map(printable, row))
    return table


CHOICES = ("what", "chosen", "why")


def recommendation_rows(recommendation: Recommendation) -> list[tuple[str, str, str]]:
    """For the console and the report, under :data:`CHOICES`."""
    return [(item.key, format_override(item.value), item.reason) for item in recommendation.decisions] + [
        (f"search {item.key}", f"{item.low:g} to {item.high:g}{', logarithmic' if item.log else ''}", item.reason)
        for item in recommendation.space]


def show_recommendation(recommendation: Recommendation, console: Console) -> None:
    """Print warnings and choices."""
    for warning in recommendation.warnings:
        console.print(f"warning: {warning}")
    table = Table(*CHOICES, title="Recommendation", title_justify="left")
    for row in recommendation_rows(recommendation):
        table.add_row(*map(printable, row))
    console.print(table)
