"""Console tables: listings, a preset's card, a checked data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sightsmith.core.config.presets import Preset, choice_of, data_rows
from sightsmith.engine.data.statistics import describe

if TYPE_CHECKING:
    from sightsmith.core.contracts.dataset import CheckedDataset

NO_RUNS = "No runs in this folder. Start one: sightsmith train task=classification dataset.root=sample"
NOTHING = "–"
"""Where no weights are published."""
COLUMNS = {
    "networks": ("name", "task", "parameters", "input_size", "gflops", "score", "published", "licence"),
    "presets": ("name", "task", "title", "modality", "classes", "cases", "network"),
    "formats": ("name", "description", "layout", "written"),
    "tuners": ("name", "trials", "space", "description"),
    "runs": ("run", "network", "status", "progress", "score", "created"),
}


def print_rows(kind: str, found: Sequence[dict[str, Any]]) -> None:
    """Print a table as wide as the terminal; without one, 200 columns."""
    if not found:
        print(NO_RUNS if kind == "runs" else f"No {kind} found.")
    elif kind == "networks":
        _print_networks(found)
    else:
        _print_table(COLUMNS.get(kind, tuple(found[0])), found)


def print_card(preset: Preset) -> None:
    """Print a preset's card."""
    card = preset.card
    print(f"{card.title}: {card.description}\n" if card.description else f"{card.title}\n")
    table = Table(box=None, show_header=False, pad_edge=False)
    for label, text in (
        ("command", f"sightsmith train preset={choice_of(card)} dataset.root=FOLDER"), ("task", preset.task),
        *data_rows(card), ("modality", ", ".join(filter(None, (card.modality, card.body_part)))),
        ("cases", f"about {card.cases}, well labelled" if card.cases else ""), ("network", preset.network),
        ("weights", card.weights or preset.config.get("network", {}).get("weights", "")),
        ("reference score", card.score or "none measured"),
        ("free keys", ", ".join((*card.tunable, "hyper.*", "trainer.*", "the data's keys"))),
        ("licence", card.licence), ("provider", str(preset.provider)),
    ):
        if text:
            table.add_row(label, text)
    Console(highlight=False).print(table, markup=False)


def _print_networks(found: Sequence[dict[str, Any]]) -> None:
    """Zoos first, so that the named networks are at the end of the output, in view."""
    zoos = [row for row in found if row["config"]]
    names = [row for row in found if not row["config"]]
    if zoos:
        width, data = (max(len(row[key]) for row in zoos) for key in ("config", "published"))
        lines = [f"{row['name']:7} {row['config']:{width}}  {row['annotation'] or '':6}  "
                 f"{row['published'] or NOTHING:{data}}  {_verdict(row)}" for row in zoos]
        print("Model zoos: network=NAME network.config=CONFIG, annotation, published weights", *lines, "", sep="\n")
    if names:
        print("Named networks: network=NAME")
        _print_table(COLUMNS["networks"], names)
    able = sum(row["trainable"] is True for row in zoos)
    print(f"\n{len(names)} named networks" + (f"; {len(zoos)} in model zoos, {able} of them trainable" if zoos else ""))


def _verdict(row: dict[str, Any]) -> str:
    if row["trainable"] is None:
        return str(row["reason"])
    return "trainable" if row["trainable"] else f"not trainable: {row['reason']}"


def _print_table(columns: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold",
                         justify="right" if isinstance(found[0][column], (int, float)) else "left")
    for row in found:
        # As it is: rich would take the brackets of `pip install 'sightsmith[wandb]'` for markup.
        table.add_row(*(Text(_cell(column, row[column])) for column in columns))
    console.print(table)


def _cell(column: str, value: Any) -> str:
    if column == "published":
        return str(value or NOTHING)
    if value is None:
        return ""
    if column == "parameters":
        return f"{value / 1e6:.1f} M"
    if column == "progress":
        return f"{100 * value:.0f} %"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "\n".join(f"{key}={item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def print_dataset(dataset: CheckedDataset) -> None:
    """Print the statistics and warnings of a checked data set."""
    console = Console(highlight=False)
    summary = describe(dataset)
    objects = summary.get("objects", {}).get("classes", {})
    header = ["class", "training images", "validation images"]
    header += ["training objects", "validation objects"] if objects else []
    table = Table(*header, box=None, header_style="bold", pad_edge=False)
    for name, images in summary["classes"].items():
        table.add_row(name, *(str(part[split]) for part in (images, objects.get(name)) if part
                              for split in ("train", "validation")))
    console.print(table, markup=False)
    keys = ["images", "annotation", "negatives", "sizes", "channels", "bits", "modalities", "groups"]
    for key in keys + ["multi_label"] * (summary["annotation"] == "labels"):
        if summary.get(key) not in (None, [], {}):
            console.print(f"{key.replace('_', ' ')}: {summary[key]}")
    for key, value in summary.get("objects", {}).items():
        if key != "classes":
            console.print(f"objects, {key.replace('_', ' ')}: {value}")
    for name, part in summary.get("mask_coverage", {}).items():
        console.print(f"mask coverage, {name}: {100 * part:.2g} %", markup=False)
    for problem in dataset.problems:
        if problem.severity == "warning":
            console.print(f"warning: {problem}", markup=False)
