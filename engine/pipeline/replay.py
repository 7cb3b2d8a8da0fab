"""Replay against forgetting: part of the base run's training data is added to the new data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightsmith.core.contracts.dataset import CheckedDataset, Sample
from sightsmith.core.contracts.image import ImageInfo
from sightsmith.core.contracts.schema import Config
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.check import digest
from sightsmith.engine.data.convert import renamed
from sightsmith.engine.data.split import split
from sightsmith.engine.runs.lockfile import read_lock
from sightsmith.engine.runs.run_dir import RunDir

PREFIX = "base_run:"
"""Prefix of the names of replayed images, which may be equal to those of new images."""


def with_replay(new: CheckedDataset, old: CheckedDataset, config: Config, report: Callable[[str], None],
                ) -> CheckedDataset:
    """``new`` with ``config.base_run.replay`` percent of each split of ``old``, the checked data of the base run.

    The selection is stratified and depends on the seed. Classes are renamed by ``network.class_renames``. An old image
    that is also in the new data is left out. Raises UserError if ``old`` is not the data of the base run any more.
    """
    lock = read_lock(RunDir(Path(str(config.base_run.path))).lock)
    if (lock["data"], lock["split"]) != (old.data_digest, old.split_digest):
        raise UserError(f"base_run.replay={config.base_run.replay:g}: the data of the base run, {old.index.root}, has "
                        "changed since the run was trained", hint="restore it, or omit base_run.replay")
    if old.index.annotation != new.index.annotation:
        raise UserError(f"base_run.replay={config.base_run.replay:g}: the base run was trained on "
                        f"{old.index.annotation}, the new data has {new.index.annotation}",
                        hint="omit base_run.replay")
    here = {content for info in new.infos.values() for content in info.digests}
    train, validation = (_share(_unseen(part, old.infos, here), config) for part in (old.train, old.validation))
    names = {name: name for name in old.index.classes} | config.network.renamed_classes
    train, validation = (tuple(replace(renamed(sample, names), name=f"{PREFIX}{sample.name}") for sample in part)
                         for part in (train, validation))
    seen = {label for sample in (*train, *validation) for label in sample.labels}
    classes = (*new.index.classes, *(name for name in names.values() if name in seen - set(new.index.classes)))
    infos = {f"{PREFIX}{name}": info for name, info in old.infos.items()}
    report(f"Replay: {len(train)} training and {len(validation)} validation images of the base run are added")
    return replace(
        new, index=replace(new.index, classes=classes, samples=(*new.index.samples, *train, *validation)),
        train=(*new.train, *train), validation=(*new.validation, *validation), infos={**new.infos, **infos},
        data_digest=digest([(new.data_digest, old.data_digest)]),
        split_digest=digest([("train", sample.key) for sample in (*new.train, *train)]
                            + [("validation", sample.key) for sample in (*new.validation, *validation)]))


def _unseen(samples: Sequence[Sample], infos: Mapping[str, ImageInfo], here: set[str]) -> list[Sample]:
    return [replace(sample, split=None) for sample in samples
            if infos[sample.name].digests[sample.frame or 0] not in here]


def _share(samples: Sequence[Sample], config: Config) -> tuple[Sample, ...]:
    if config.base_run.replay == 100:
        return tuple(samples)
    return split(samples, config.base_run.replay, config.trainer.seed)[1]
