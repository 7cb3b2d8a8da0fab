"""Console tables: listings, a preset's card, a checked data set."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from sightsmith.core.util.text import format_metric, one_line
from sightsmith.engine.config.presets import Preset, choice_of, data_rows
from sightsmith.engine.data.statistics import describe, in_words

if TYPE_CHECKING:
    from rich.console import Console

    from sightsmith.core.contracts.dataset import CheckedDataset
    from sightsmith.core.contracts.schema import ImageConfig

NO_RUNS = "No runs in this folder. Start one: sightsmith train task=classification dataset.root=sample"
NOTHING = "–"
"""Where no weights are published."""
COLUMNS = {
    "networks": ("name", "task", "parameters", "input_size", "gflops", "score", "published", "licence"),
    "presets": ("name", "task", "title", "modality", "classes", "cases", "network"),
    "formats": ("name", "description", "layout", "written"),
    "tuners": ("name", "trials", "space", "description"),
    "runs": ("run", "network", "status", "progress", "metric", "score", "created"),
}


def print_rows(kind: str, found: Sequence[dict[str, Any]], *, every: bool = False) -> None:
    """Print a table as wide as the terminal; without one, 200 columns. ``every`` configuration of a model zoo is a row
    of its own."""
    if not found:
        print(NO_RUNS if kind == "runs" else f"No {kind} found.")
    elif kind == "networks":
        _print_networks(found, every)
    else:
        _print_table(COLUMNS.get(kind, tuple(found[0])), found)


def print_card(preset: Preset) -> None:
    """Print a preset's card."""
    from rich.console import Console
    from rich.table import Table

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


def _print_networks(found: Sequence[dict[str, Any]], every: bool) -> None:
    """Named networks first; a zoo is one line unless ``every`` configuration is wanted."""
    zoos: dict[str, list[dict[str, Any]]] = {}
    names = []
    for row in found:
        if row["config"]:
            zoos.setdefault(row["name"], []).append(row)
        else:
            names.append(row | {"name": f"{row['name']} (default)"} if row["default"] else row)
    if names:
        print("Named networks: network=NAME")
        _print_table(COLUMNS["networks"], sorted(names, key=lambda row: (row["task"], not row["default"])))
    if zoos:
        print("\nModel zoos: network=NAME network.config=CONFIG")
        width = max(map(len, zoos))
        for name, rows in zoos.items():
            able = sum(row["trainable"] is True for row in rows)
            print(f"{name:{width}}  {rows[0]['task']}: {len(rows)} configurations, {able} of them trainable"
                  + ("" if every else "; --all shows them, and why the others are not"))
            if every:
                _print_configs(rows)
    able = sum(row["trainable"] is True for rows in zoos.values() for row in rows)
    total = sum(map(len, zoos.values()))
    print(f"\n{len(names)} named networks" + (f"; {total} in model zoos, {able} of them trainable" if zoos else ""))


def _print_configs(rows: Sequence[dict[str, Any]]) -> None:
    width, data = (max(len(row[key]) for row in rows) for key in ("config", "published"))
    for row in rows:
        print(f"  {row['config']:{width}}  {row['annotation'] or '':6}  {row['published'] or NOTHING:{data}}  "
              f"{_verdict(row)}")


def _verdict(row: dict[str, Any]) -> str:
    if row["trainable"] is None:
        return str(row["reason"])
    return "trainable" if row["trainable"] else f"not trainable: {row['reason']}"


def _print_table(columns: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else 200
    # A cell may have several lines.
    cells = [[_cell(column, row[column]).split("\n") for column in columns] for row in found]
    titles = [column.replace("_", " ") for column in columns]
    widths = [max(map(len, [title, *(line for row in cells for line in row[at])])) for at, title in enumerate(titles)]
    right = [isinstance(found[0][column], (int, float)) for column in columns]
    if sum(widths) + 2 * (len(widths) - 1) > width:
        _print_folded(titles, cells, right, width)
        return
    lines = [titles, *(line for row in cells for line in zip_longest(*row, fillvalue=""))]
    for at, line in enumerate(lines):
        aligned = (text.rjust(size) if numeric else text.ljust(size)
                   for text, size, numeric in zip(line, widths, right, strict=True))
        text = "  ".join(aligned).rstrip()
        print(f"\033[1m{text}\033[0m" if terminal and not at else text)


def _print_folded(titles: Sequence[str], cells: Sequence[Sequence[Sequence[str]]], right: Sequence[bool],
                  width: int) -> None:
    """A table that is wider than the terminal. Rich takes longer than all else that a listing does."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, numeric in zip(titles, right, strict=True):
        table.add_column(title, overflow="fold", justify="right" if numeric else "left")
    for row in cells:
        # As it is: rich would take the brackets of `pip install 'sightsmith[wandb]'` for markup.
        table.add_row(*(Text("\n".join(cell)) for cell in row))
    Console(highlight=False, width=width).print(table)


def _cell(column: str, value: Any) -> str:
    if column == "published":
        return str(value or NOTHING)
    if value is None:
        return ""
    if column == "parameters":
        return f"{value / 1e6:.1f} M" if value >= 1e5 else f"{value / 1e3:.1f} k"
    if column == "progress":
        return f"{100 * value:.0f} %"
    if column == "score" and isinstance(value, float):
        return format_metric(value)
    if column == "created":
        return f"{str(value)[:16].replace('T', ' ')} UTC"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "\n".join(f"{key}={one_line(str(item))}" for key, item in value.items())
    return one_line(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def print_dataset(dataset: CheckedDataset, image: ImageConfig) -> None:
    """Print the statistics and warnings of a checked data set; ``image`` as in its :func:`describe`. Where none of its
    images can be used there are no statistics."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if dataset.index.samples:
        _print_statistics(console, dataset, image)
    for problem in dataset.problems:
        if problem.severity == "warning":
            console.print(f"warning: {problem}")


def _print_statistics(console: Console, dataset: CheckedDataset, image: ImageConfig) -> None:
    from rich.table import Table

    summary = describe(dataset, image)
    objects = summary.get("objects", {}).get("classes", {})
    header = ["class", "training images", "validation images"]
    header += ["training objects", "validation objects"] if objects else []
    table = Table(*header, box=None, header_style="bold", pad_edge=False)
    for name, images in summary["classes"].items():
        table.add_row(one_line(name), *(str(part[split]) for part in (images, objects.get(name)) if part
                              for split in ("train", "validation")))
    console.print(table)
    keys = ["images", "annotation", "negatives", "sizes", "channels", "mean", "std", "bits", "modalities", "volumes",
            "groups"]
    for key in keys + ["multi_label"] * (summary["annotation"] == "labels"):
        if summary.get(key) not in (None, [], {}):
            console.print(f"{key.replace('_', ' ')}: {one_line(in_words(summary[key]))}")
    for key, value in summary.get("objects", {}).items():
        if key != "classes":
            console.print(f"objects, {key.replace('_', ' ')}: {in_words(value)}")
    for name, part in summary.get("mask_coverage", {}).items():
        console.print(f"mask coverage, {one_line(name)}: {100 * part:.2g} %")
