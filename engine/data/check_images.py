"""The part of the data set check that looks at each image file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.image import ImageError, ImageInfo, MissingReaderError
from sightsmith.core.contracts.records import ImageReaderRecord
from sightsmith.core.contracts.schema import AUTO, Config, ImageConfig
from sightsmith.core.util.errors import Problem, listed
from sightsmith.core.util.text import counted
from sightsmith.engine.data.channels import count_channels
from sightsmith.engine.data.images import STACKED, about_bands, probe

SMALLEST_SIDE = 16
UNDECLARED = "more bands than colours, not declared as transparency (such as near infra-red), are left out"
DARK = 1 / 8
"""Images that use less of the range from black to white are nearly one grey."""


def probe_all(samples: Sequence[Sample], readers: Sequence[ImageReaderRecord], problems: list[Problem], *,
              image: ImageConfig) -> dict[str, ImageInfo]:
    """Decode every file as ``image`` says; an unusable one becomes a problem, and those of a format whose reader is not
    installed become one: a warning, or an error if there is nothing else."""
    files = {sample.name: sample for sample in samples}

    def probed(sample: Sample) -> ImageInfo | ImageError:
        try:
            return probe_input(sample.path, readers, image)
        except ImageError as error:
            return error

    infos = {}
    missing: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for name, found in zip(files, pool.map(probed, files.values()), strict=True):
            if isinstance(found, ImageInfo):
                infos[name] = found
            elif isinstance(found, MissingReaderError):
                missing[found.title, found.package, found.install].append(name)
            else:
                sample = files[name]
                where = f" (named in {sample.file}:{sample.line})" if sample.line else ""
                problems.append(Problem(f"cannot be used as an image: {found}{where}", file=name,
                                        hint="replace the file, remove it from the data set, or leave such files out: "
                                             "dataset.on_bad_image=skip"))
    for (title, package, install), names in missing.items():
        problems.append(Problem(f"{counted(len(names), f'{title} file is', f'{title} files are')} not read, because "
                                f"{package} is not installed: {listed(names)}",
                                hint=install or f"install {package}, or convert them",
                                severity="warning" if infos else "error"))
    return infos


def probe_input(path: Path, readers: Collection[ImageReaderRecord], image: ImageConfig) -> ImageInfo:
    """:func:`probe` as the keys ``image`` say. Raises ImageError."""
    return probe(path, readers, stack=image.pages == STACKED, series=channels_of_series(image))


def channels_of_series(image: ImageConfig) -> int | None:
    """The number of volumes of a series that are channels: as many as ``image`` has. None where these are three, which
    may be the colours of any other image, or not known."""
    return None if image.channels in (AUTO, "3") or len(image.windows) > 1 else image.input_channels


def about_channels(image: ImageConfig, index: DatasetIndex) -> list[Problem]:
    """Files of cases that are other channels than ``image.case_files``."""
    wanted = image.case_files
    if wanted is None or not index.channels or list(index.channels) == list(wanted):
        return []
    return [Problem(f"the files of a case are {', '.join(index.channels)}, and the channels of the model are "
                    f"{', '.join(map(str, wanted))}: image.case_files", hint="use cases with the same files")]


def about_images(config: Config, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    problems = [Problem(f"is {info.width} x {info.height} px; each side must have at least {SMALLEST_SIDE} px",
                        file=name, hint="enlarge or remove it")
                for name, info in infos.items() if min(info.width, info.height) < SMALLEST_SIDE]
    peculiar = defaultdict(list)
    for name, info in infos.items():
        for note in info.notes:
            peculiar[note].append(name)
    problems += [Problem(f"{note} in {counted(len(names), 'image')}: {listed(names)}",
                         severity="warning") for note, names in peculiar.items()]
    if blank := [name for name, info in infos.items() if info.frames == 1 and info.blank]:
        problems.append(Problem(f"{counted(len(blank), 'image has', 'images have')} a single colour: "
                                f"{listed(blank)}", severity="warning"))
    problems += _about_bands(config, infos)
    if config.image.range is None:
        problems += _about_black_and_white(config, infos)
    if config.image.windows:
        plain = {name: info for name, info in infos.items() if not info.windowed}
        if plain:
            problems.append(Problem("image.windows has no effect on "
                                    f"{counted(len(plain), 'image that is', 'images that are')} not grey DICOM or "
                                    f"volumes: {listed(plain)}", severity="warning"))
    return problems


def _about_bands(config: Config, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    """Images of other bands than are used, and bands that are left out; none where the channels are DICOM windows."""
    if len(config.image.windows) > 1:
        return []
    channels, others, dropped = count_channels(config.image, infos.values()), defaultdict(list), []
    for name, info in infos.items():
        if about_bands(info.channels, info.colours, channels):
            others[info.channels].append(name)
        elif channels == 3 and info.channels not in (1, 3):
            dropped.append(name)
    problems = []
    if dropped:
        problems.append(Problem(f"{UNDECLARED} in {counted(len(dropped), 'image')}: {listed(dropped)}",
                                hint="all bands are used if every image has the same number of them",
                                severity="warning"))
    why = ("this is what the configuration or the run says" if config.image.channels != AUTO else
           "the images do not all have the same number, and the others are grey or in colour")
    for bands, names in sorted(others.items()):
        problems.append(Problem(
            f"{counted(len(names), 'image has', 'images have')} {counted(bands, 'band')}, and "
            f"{channels} channels are used: {why}: {listed(names)}",
            hint="remove the images of other bands, or save them all with the same ones" if
            config.image.channels == AUTO else "use images of the same bands, or train on these with the default "
            "image.channels=auto"))
    return problems


def about_input(info: ImageInfo, image: ImageConfig) -> str:
    """Why a model that was trained with ``image`` cannot take an image that can be read; empty if it can."""
    if len(image.windows) < 2 and (wrong := about_bands(info.channels, info.colours, image.input_channels)):
        files = f": the files {', '.join(map(str, image.case_files))} of a case" if image.case_files else ""
        return f"{wrong} by the model{files}"
    if lacks_black_and_white(info, image):
        return ("it has more than 16 bits or floating-point values, and the model was trained without image.range, "
                "which says what is black and white")
    return ""


def lacks_black_and_white(info: ImageInfo, image: ImageConfig) -> bool:
    """Whether neither the file nor the configuration ``image`` says which values are black and white."""
    return info.bits > 16 and info.limits is None and image.range is None and not (info.windowed and image.windows)


def _about_black_and_white(config: Config, infos: Mapping[str, ImageInfo]) -> list[Problem]:
    """Images whose black and white are undefined without ``image.range``, or far from their values."""
    problems = []
    windowed = {name: info for name, info in infos.items() if info.windowed}
    plain = {name: info for name, info in infos.items() if not info.windowed}
    free = {name: info for name, info in infos.items() if lacks_black_and_white(info, config.image)}
    if free:
        problems.append(Problem(f"{counted(len(free), 'image has', 'images have')} more than 16 bits or "
                                f"floating-point values, so black and white are undefined: {listed(free)}",
                                hint="set the values of black and white: image.range=[low,high]; theirs are from "
                                     f"{min(info.extent[0] for info in free.values()):g} to "
                                     f"{max(info.extent[1] for info in free.values()):g}"))
    deep = {name: info for name, info in plain.items() if info.bits == 16}
    top = max((info.maximum for info in deep.values()), default=0)
    if deep and 0 < top < 65535 * DARK:
        problems.append(Problem(f"{counted(len(deep), '16-bit image only has', '16-bit images only have')} values up "
                                f"to {top:g} and will look dark",
                                hint=f"set image.range=[0,{top:g}] to use the whole scale", severity="warning"))
    spans = [(info.extent, info.limits) for info in windowed.values() if info.bits > 8 and info.limits]
    if spans and not config.image.windows:
        low, high = min(values[0] for values, _ in spans), max(values[1] for values, _ in spans)
        share = (high - low) / max(limits[1] - limits[0] for _, limits in spans)
        if 0 < share < DARK:
            problems.append(Problem(
                f"{counted(len(spans), 'image only has', 'images only have')} values from {low:g} to {high:g}, "
                f"{share:.0%} of the range from black to white, and will look like one grey", severity="warning",
                hint=f"set image.range=[{low:g},{high:g}] to use the whole scale, or windows of the tissue that "
                     "matters: image.windows=[[centre,width]]"))
    return problems
