"""The plan of a run, and what the auto tuner recommends, as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sightsmith.core.contracts.keys import format_override
from sightsmith.core.contracts.plan import Plan
from sightsmith.core.contracts.recommendation import Recommendation
from sightsmith.core.util.text import printable


def plan_table(plan: Plan) -> Table:
    table = Table(show_header=False, title="Plan", title_justify="left")
    for label, text in plan.rows():
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
