"""The report's sections about a segmentation: per-class metrics, confusion of pixels, best and worst images."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sightsmith.plugin import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    IGNORED,
    SHOWN_THUMBNAILS,
    TRUE_POSITIVE,
    Array,
    Config,
    Picture,
    Sample,
    Section,
    blended,
    counted,
    load_rgb_part,
    semantic_map,
)
from sightsmith.plugins.segmentation.metrics import PER_CLASS, SegmentationResult, class_metrics, compute, total

DRAWN_CLASSES = 12
OPACITY = 0.55
COUNTS = ("TP", "FP", "FN", "TN")


def packed(numbers: Array) -> tuple[tuple[int, int], bytes]:
    """A mask (height, width) uint8, compressed to keep results small."""
    return (numbers.shape[0], numbers.shape[1]), zlib.compress(numbers.tobytes(), 1)


def unpacked(found: tuple[tuple[int, int], bytes]) -> Array:
    shape, content = found
    return np.frombuffer(zlib.decompress(content), np.uint8).reshape(shape)


def sections(results: Sequence[SegmentationResult], samples: Sequence[Sample], classes: Sequence[str], config: Config,
             ) -> list[Section]:
    """In page order. ``results`` and ``samples`` correspond one to one."""
    return [_per_class(results, classes), _confusion(results, classes),
            _found(results, samples, classes, config), _images(results, samples, classes)]


def _per_class(results: Sequence[SegmentationResult], classes: Sequence[str]) -> Section:
    counts = total(results)
    rows = []
    for number, name in enumerate(("background", *classes)):
        found = class_metrics(counts, number)
        rows.append((name, *(found[key] for key in (*PER_CLASS, *COUNTS))))
    note = ("Counts are pixels at the images' original size. Dice is the F1 of pixels. Undefined without true pixels "
            "of the class (Dice, IoU, recall), or without predicted ones (precision).")
    header = ("class", "Dice", "IoU", "precision", "recall", "specificity", "accuracy", *COUNTS)
    return Section("Per class", note=note, header=header, rows=tuple(rows), name="per-class")


def _confusion(results: Sequence[SegmentationResult], classes: Sequence[str]) -> Section:
    counts, names = total(results), ("background", *classes)
    return Section("Confusion of pixels", header=("true", *names), name="confusion-matrix",
                   rows=tuple((name, *map(int, row)) for name, row in zip(names, counts, strict=True)))


def _found(results: Sequence[SegmentationResult], samples: Sequence[Sample], classes: Sequence[str],
           config: Config) -> Section:
    """For each class the images with the lowest and the highest Dice, with true and false pixels coloured."""
    rows = []
    for number, name in enumerate(classes[:DRAWN_CLASSES], 1):
        scored = sorted((dice, place) for place, result in enumerate(results)
                        if (dice := class_metrics(result["counts"], number)["dice"]) is not None)
        if not scored:
            continue
        worst = scored[:SHOWN_THUMBNAILS]
        best = [item for item in scored[::-1] if item not in worst][:SHOWN_THUMBNAILS]
        rows += [(f"{name}, {title}", _all_coloured(
            [(results[place], samples[place], f"Dice {dice:.2f}") for dice, place in chosen], classes, number, config))
            for title, chosen in (("worst", worst), ("best", best)) if chosen]
    note = ("For each class the images with the lowest and the highest Dice. Green: true positives; red: false "
            "positives; blue: false negatives.")
    return Section("Examples", note=note, pictures=tuple(rows))


def _all_coloured(found: Iterable[tuple[SegmentationResult, Sample, str]], classes: Sequence[str], number: int,
                  config: Config) -> Iterator[Picture]:
    return (_coloured(result, sample, classes, number, caption, config) for result, sample, caption in found)


def _coloured(result: SegmentationResult, sample: Sample, classes: Sequence[str], number: int, caption: str,
              config: Config) -> Picture:
    part = load_rgb_part(sample, config.image, sample.tile)
    truth = semantic_map(sample, classes, *part.size, sample.tile)
    predicted = unpacked(result["map"])
    found, actual = (predicted == number) & (truth != IGNORED), truth == number
    colours = np.select([(found & actual)[..., None], found[..., None]],
                        [np.array(TRUE_POSITIVE), np.array(FALSE_POSITIVE)], np.array(FALSE_NEGATIVE))
    return Picture(blended(part.values, colours, OPACITY * (found | actual)), caption, name=sample.key)


def _images(results: Sequence[SegmentationResult], samples: Sequence[Sample], classes: Sequence[str]) -> Section:
    """Every image or tile, those with the lowest Dice first."""
    rows = []
    for result, sample in zip(results, samples, strict=True):
        found = compute([result], classes)
        true = result["counts"].sum(1)
        names = ", ".join(name for name, pixels in zip(classes, true[1:], strict=True) if pixels) or "none"
        rows.append((sample.key, names, found["dice"], found["miou"], found["pixel_accuracy"]))
    rows.sort(key=lambda row: (row[2] is None, row[2], row[0]))
    note = (f"{counted(len(rows), 'image')}, the lowest Dice first. Dice and IoU are means over the classes in the "
            "image, undefined where there is none.")
    return Section("Images", note=note, name="images", rows=tuple(rows), filters=("classes",),
                   header=("image", "classes", "Dice", "mean IoU", "pixel accuracy"))
