"""What the two formats with semantic masks share."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightsmith.plugin import (
    IGNORED,
    DatasetIndex,
    MaskError,
    MissingReaderError,
    Problem,
    Sample,
    count_mask_values,
    counted,
    listed,
    mask_frames,
    relative_name,
)
from sightsmith.plugins.formats.class_table import ClassTable, from_values

MAX_UNNAMED_CLASSES = 20
"""Without a class table, more distinct values than this look like object ids."""
RARE, BRIGHT = 0.01, 50
"""Values with less than this share of the marked pixels each and less than half of them together, some above
``BRIGHT``, look like edges that a lossy format or resizing has blurred."""
SHOWN_VALUES = 5
GREY = 0x010101
"""Times a grey level, its colour."""


@dataclass(frozen=True)
class Pair:
    """The files of an image and of its semantic mask, and what a person calls them."""

    image: Path
    mask: Path
    name: str
    mask_name: str

    @classmethod
    def below(cls, root: Path, image: Path, mask: Path) -> Pair:
        return cls(image, mask, relative_name(image, root), relative_name(mask, root))


@dataclass(frozen=True)
class _Mask:
    """The pixels of the mask of ``pair``: their values, with counts, as grey levels or colours; of a volume those of
    each slice, too, and the builder of its ``reader``."""

    pair: Pair
    counts: Mapping[int, int]
    colour: bool
    slices: Sequence[Mapping[int, int]] = ()
    reader: str | None = None


def index_of_masks(root: Path, form: str, pairs: Sequence[Pair], named: tuple[ClassTable, str] | None,
                   problems: list[Problem]) -> DatasetIndex:
    """The data set of ``pairs`` of images and semantic masks; the labels of an image are the classes in its mask.

    ``named`` is the class table and its file; without one, every value in use is a class. Every mask is decoded.
    """
    found = _read_all(pairs, problems)
    grey = named is None or not named[0].colours
    levels = {mask.pair.mask_name: _levels(mask) for mask in found if grey or not mask.colour}
    used: Counter[int] = Counter()
    for counts in levels.values():
        used.update(counts or {})
    table, source = named or (from_values(used), None)
    if named is None:
        problems += _about_unnamed(table, used)
    if named is not None and IGNORED in used and used.keys() <= {0, IGNORED} and len(table.classes) == 1:
        table = replace(from_values(used), values=((0, None), (IGNORED, table.classes[0])))
    problems += _about_white(table, levels)
    unknown = [name for name, counts in levels.items() if counts is None]
    if unknown:
        problems.append(Problem(
            f"{counted(len(unknown), 'semantic mask is', 'semantic masks are')} in colour, and "
            f"{source or 'no file'} maps no colours to classes: {listed(unknown)}",
            hint="save them as grey or palette PNG, or write a class_dict.csv: name,r,g,b"))
    samples = []
    for mask in found:
        pair = mask.pair
        if pair.mask_name in levels and levels[pair.mask_name] is None:
            continue
        semantic_mask = table.semantic_mask(pair.mask, pair.mask_name, mask.colour and not grey)
        if mask.colour and grey:
            semantic_mask = replace(semantic_mask, values=tuple((GREY * value, name) for value, name in table.values),
                                    ignored=tuple(GREY * value for value in table.ignored))
        for frame, counts in enumerate(mask.slices) if mask.slices else [(None, mask.counts)]:
            names = {name for value, name in semantic_mask.values if value in counts}
            samples.append(Sample(pair.image, pair.name, tuple(name for name in table.classes if name in names), frame,
                                  file=pair.mask_name,
                                  semantic_mask=replace(semantic_mask, frame=frame, reader=mask.reader)))
    return DatasetIndex(root, form, table.classes, tuple(samples), problems=tuple(problems), annotation="masks")


def _read_all(pairs: Sequence[Pair], problems: list[Problem]) -> list[_Mask]:
    found, missing = [], defaultdict(list)
    for pair in pairs:
        try:
            found.append(_read(pair))
        except MissingReaderError as error:
            missing[str(error), error.install].append(pair.mask_name)
        except MaskError as error:
            problems.append(Problem(str(error), file=pair.mask_name))
    problems += [Problem(f"{counted(len(names), 'semantic mask is', 'semantic masks are')} not read: "
                         f"{message.removesuffix(f': {install}')}: {listed(names)}", hint=install)
                 for (message, install), names in missing.items()]
    return found


def _read(pair: Pair) -> _Mask:
    """Raises MaskError and MissingReaderError."""
    frames, reader = mask_frames(pair.mask)
    if frames == 1:
        return _Mask(pair, *count_mask_values(pair.mask, None, reader), reader=reader)
    slices, total, colours = [], Counter[int](), False
    for frame in range(frames):
        counts, colour = count_mask_values(pair.mask, frame, reader)
        slices.append(counts)
        total.update(counts)
        colours = colours or colour
    return _Mask(pair, total, colours, slices, reader)


def _levels(mask: _Mask) -> Mapping[int, int] | None:
    """The counts of grey levels, also of a grey picture that was saved in colour; None for real colours."""
    if not mask.colour:
        return mask.counts
    if any(value % GREY for value in mask.counts):
        return None
    return {value // GREY: count for value, count in mask.counts.items()}


def _about_unnamed(table: ClassTable, used: Counter[int]) -> list[Problem]:
    """Values that can hardly be those of classes."""
    marked = {value: count for value, count in used.items() if value}
    total = sum(marked.values())
    rare = [value for value, count in marked.items() if count < RARE * total]
    if 2 * len(rare) > len(marked) and max(rare) > BRIGHT and 2 * sum(marked[value] for value in rare) < total:
        shares = ", ".join(f"{value} ({100 * count / total:.2g} %)" for value, count in
                           sorted(marked.items(), key=lambda item: -item[1])[:SHOWN_VALUES])
        return [Problem(f"the semantic masks have {len(marked)} values besides 0, most of them in a few pixels only: "
                        f"{shares}, ... A lossy format or resizing may have blurred their edges",
                        hint="save them without loss and scale them without smoothing; if the values are right, write "
                             "a classes.txt with one class per line")]
    if len(table.classes) > MAX_UNNAMED_CLASSES:
        return [Problem(f"the semantic masks have {len(table.classes)} values; are they object ids instead of classes?",
                        hint="write a classes.txt with one class per line")]
    return []


def _about_white(table: ClassTable, levels: Mapping[str, Mapping[int, int] | None]) -> list[Problem]:
    """Warnings about the value 255, which is either ignored or, in masks of black and white, the class."""
    white = [name for name, counts in levels.items()
             if counts and IGNORED in counts and counts.keys() <= {0, IGNORED}]
    if white and not table.ignored:
        return [Problem(f"the semantic masks are black and white: {IGNORED} is read as the class {table.classes[0]!r}",
                        severity="warning")]
    if white and IGNORED in table.ignored:
        return [Problem(f"{counted(len(white), 'semantic mask has', 'semantic masks have')} {IGNORED}, which "
                        f"is ignored, and no class: {listed(white)}. "
                        "Others have the numbers of classes", severity="warning",
                        hint=f"give the class its number in them if {IGNORED} was meant to be it")]
    return []


def about_unpaired(images: Sequence[str], masks: Sequence[str] = ()) -> list[Problem]:
    """Warnings about the names of ``images`` without a mask and of ``masks`` without an image."""
    lonely = counted(len(images), "image has no semantic mask and is", "images have no semantic mask and are")
    unused = counted(len(masks), "semantic mask has", "semantic masks have")
    return [Problem(f"{message}: {listed(names)}", severity="warning") for message, names in (
        (f"{lonely} ignored", images), (f"{unused} no image", masks)) if names]
