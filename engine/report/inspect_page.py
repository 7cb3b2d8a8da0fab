"""The page of ``sightsmith inspect --html``: problems, statistics, near-duplicates and a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sightsmith.core.contracts.annotation import Box
from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.image import Array, ImageError
from sightsmith.core.contracts.report import Colour, Picture, Section
from sightsmith.core.contracts.schema import ImageConfig
from sightsmith.core.util.text import counted
from sightsmith.engine.data.masks import IGNORED, semantic_map
from sightsmith.engine.data.near_duplicates import Pair
from sightsmith.engine.data.statistics import describe, in_words, under_represented
from sightsmith.engine.data.thumbnails import SHOWN, blended, load_rgb, load_rgb_part, palette, scaled_box, shown_bands
from sightsmith.engine.report.page import render, write_page

SHOWN_CLASSES = 40
SHOWN_PAIRS = 24
OPACITY = 0.45


def write_inspect_page(folder: Path, dataset: CheckedDataset, pairs: Sequence[Pair], image: ImageConfig,
                       more: Sequence[Section] = ()) -> Path:
    """Write ``index.html`` and the tables into ``folder``; returns the page's path.

    ``pairs`` are the near-duplicates; ``more`` are further sections.
    """
    summary = describe(dataset, image)
    images = summary["images"]
    errors = [problem for problem in dataset.problems if problem.severity == "error"]
    sections = [_problems(dataset), _classes(summary), _statistics(summary), _pairs(pairs, dataset, image),
                *_contact_sheet(dataset, image), *more]
    write_page(folder, f"Data set {dataset.index.root.name}", f"{dataset.index.format}: {dataset.reason}",
               str(dataset.index.root),
               headline=[("training images", str(images["train"]), ""),
                         ("validation images", str(images["validation"]), ""),
                         ("classes", str(len(dataset.index.classes)), ""), ("errors", str(len(errors)), ""),
                         ("warnings", str(len(dataset.problems) - len(errors)), ""),
                         ("near-duplicates", counted(len(pairs), "pair"), "")], sections=sections,
               shown=shown_bands(image, dataset.infos.values()))
    return folder / "index.html"


def _problems(dataset: CheckedDataset) -> Section:
    if not dataset.problems:
        return Section("Problems", note="None.")
    rows = tuple((item.severity, item.file or "", item.line or "", item.message, item.hint or "")
                 for item in sorted(dataset.problems, key=lambda item: item.severity))
    return Section("Problems", header=("severity", "file", "line", "problem", "hint"), rows=rows, name="problems",
                   filters=("severity",))


def _classes(summary: Mapping[str, Any]) -> Section:
    objects = summary.get("objects", {}).get("classes", {})
    few = under_represented({name: images["train"] for name, images in summary["classes"].items()})
    rows = tuple((name, images["train"], images["validation"],
                  *(objects[name][split] for split in ("train", "validation") if name in objects),
                  "under-represented" if name in few else "")
                 for name, images in summary["classes"].items())
    header = ("class", "training images", "validation images", *(("training objects", "validation objects")
                                                                 if objects else ()), "")
    return Section("Classes", header=header, rows=rows, name="classes")


def _statistics(summary: Mapping[str, Any]) -> Section:
    rows: list[tuple[str, str]] = []
    for key in ("annotation", "multi_label", "negatives", "sizes", "channels", "mean", "std", "bits", "modalities",
                "volumes", "groups", "mask_coverage"):
        if summary.get(key) not in (None, [], {}):
            rows.append((key.replace("_", " "), in_words(summary[key])))
    rows += [(f"objects, {key.replace('_', ' ')}", in_words(value))
             for key, value in summary.get("objects", {}).items() if key != "classes"]
    return Section("Statistics", header=("", ""), rows=tuple(rows), name="statistics")


def _pairs(pairs: Sequence[Pair], dataset: CheckedDataset, image: ImageConfig) -> Section:
    title = "Near-duplicates"
    if not pairs:
        return Section(title, note="None.")
    split = {sample.key: name for name, part in (("training", dataset.train), ("validation", dataset.validation))
              for sample in part}
    across = [pair for pair in pairs if split.get(pair.first.key) != split.get(pair.second.key)]
    note = (f"{counted(len(pairs), 'pair')} of images that look alike (perceptual hash), {len(across)} in different "
            "splits (data leakage: the score would be inflated); dataset.group_by keeps images that belong together in "
            "one.")
    chosen = [*across, *(pair for pair in pairs if pair not in across)]
    pictures = tuple((f"{split.get(pair.first.key)} and {split.get(pair.second.key)}",
                      (Picture(load_rgb(sample, image), "", name=sample.key) for sample in (pair.first, pair.second)))
                     for pair in chosen[:SHOWN_PAIRS])
    rows = tuple((pair.first.key, split.get(pair.first.key, ""), pair.second.key, split.get(pair.second.key, ""),
                  pair.distance) for pair in chosen)
    return Section(title, note=note, pictures=pictures, name="near-duplicates", rows=rows,
                   header=("image", "split", "image", "split", "hash distance"))


def _contact_sheet(dataset: CheckedDataset, image: ImageConfig) -> Iterable[Section]:
    classes = dataset.index.classes
    colours = palette(classes)
    rows = []
    for name in classes[:SHOWN_CLASSES]:
        shown = [sample for sample in dataset.index.samples if name in sample.labels]
        step = max(len(shown) // (2 * SHOWN), 1)
        if shown:
            rows.append((f"{name}: {counted(len(shown), 'image')}",
                         _annotated(shown[::step][:2 * SHOWN], classes, colours, image)))
    without = [sample for sample in dataset.index.samples if not sample.labels]
    if without:
        rows.append((f"without a class: {counted(len(without), 'image')}",
                     _annotated(without[:2 * SHOWN], classes, colours, image)))
    if rows:
        drawn = dataset.index.annotation != "labels"
        legend = render("legend.html", entries=[(name, colours[name]) for name in classes[:SHOWN_CLASSES]])
        yield Section("Contact sheet", html=legend if drawn else "", pictures=tuple(rows))


def _annotated(samples: Sequence[Sample], classes: Sequence[str], colours: Mapping[str, Colour], image: ImageConfig,
               ) -> Iterator[Picture]:
    """The images with their boxes or masks drawn in. Unreadable ones are left out; they are among the problems."""
    for sample in samples:
        with suppress(ImageError):
            yield _drawn_in(sample, classes, colours, image)


def _drawn_in(sample: Sample, classes: Sequence[str], colours: Mapping[str, Colour], image: ImageConfig) -> Picture:
    part = load_rgb_part(sample, image, None)
    pixels = part.values
    if sample.semantic_mask is not None or any(item.mask is not None for item in sample.objects):
        numbers = semantic_map(sample, classes, *part.size, step=-(-part.size[0] // pixels.shape[0]))
        return Picture(_painted(pixels, numbers, [colours[name] for name in classes]), "", name=sample.key)
    boxes: tuple[tuple[Box, Colour, str], ...] = tuple(
        (scaled_box(item.box, pixels, part.size), colours[item.label], "") for item in sample.objects)
    return Picture(pixels, "", boxes, name=sample.key)


def _painted(pixels: Array, numbers: Array, colours: Sequence[Colour]) -> Array:
    table = np.zeros((256, 3), np.float32)
    table[1:len(colours) + 1] = colours
    return blended(pixels, table[numbers], OPACITY * ((numbers > 0) & (numbers != IGNORED)))
