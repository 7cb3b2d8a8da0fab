"""What is written in a format reads back as what it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import object_datasets as sets
import pytest
from broken_datasets import picture
from object_datasets import HEIGHT, WIDTH

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.convert import to_objects
from sightsmith.engine.data.masks import decode, encode, semantic_map
from sightsmith.engine.data.write import find_writer, write_dataset
from sightsmith.engine.pipeline.load_dataset import check


@pytest.fixture
def read(learns, plugins):
    def run(annotation, overrides):
        learns(annotation)
        dataset = check(compose(["task=classification", "dataset.min_images_per_class=1", *overrides], plugins),
                        load_plugins(), lambda line: None)
        dataset.raise_for_errors()
        return dataset
    return run


def written(dataset, form, folder):
    record = find_writer(form, load_plugins().dataset_formats, dataset.index.annotation)
    return write_dataset(dataset.index, dataset.infos, record, folder)


def by_stem(dataset):
    return {sample.path.stem: sample for sample in dataset.index.samples}


@pytest.mark.parametrize("form", ["label_csv", "labelme", "coco", "voc", "yolo"])
def test_boxes(read, tmp_path, form):
    first = read("boxes", sets.coco()(tmp_path / "set"))
    fractions = tuple(
        replace(sample, objects=tuple(replace(item, box=(2.25, 3.1, 10.7, 9.3)) for item in sample.objects))
        for sample in first.index.samples)
    first = replace(first, index=replace(first.index, samples=fractions))
    assert written(first, form, tmp_path / "out") == []
    second = read("boxes", [f"dataset.root={tmp_path / 'out'}"])
    assert second.index.format == form
    assert second.index.classes == first.index.classes
    for stem, sample in by_stem(first).items():
        other = by_stem(second)[stem]
        assert [item.label for item in other.objects] == [item.label for item in sample.objects]
        assert [item.box for item in other.objects] == [pytest.approx(item.box, abs=1e-6) for item in sample.objects]
        assert other.labels == sample.labels


SHAPES = {
    "rectangle": lambda: sets.mask(),
    "blob": lambda: np.hypot(*np.ogrid[-9:11, -12:12]) < 6,
    "two parts": lambda: np.hypot(*np.ogrid[-4:16, -5:19]) < 3.5,
    "with a hole": lambda: sets.mask() & ~np.pad(np.ones((2, 2), bool), ((5, 13), (5, 17))),
    "a line": lambda: np.pad(np.ones((1, 7), bool), ((4, 15), (3, 14))),
    "one pixel": lambda: np.pad(np.ones((1, 1), bool), ((4, 15), (3, 20))),
}


def masked(folder, shapes):
    """A data set of an image for each shape, and one without any object."""
    samples = []
    for number, make in enumerate([*shapes, None]):
        path = folder / f"{number}.png"
        picture(path, number)
        objects, labels = (), ()
        if make is not None:
            mask = make().copy()
            if make is SHAPES["two parts"]:
                mask[15:18, 18:22] = True
            runs = encode(mask)
            rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
            box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
            labels = (sets.CLASSES[number % 2],)
            objects = (Object(labels[0], box, runs),)
        samples.append(Sample(path, path.name, labels, objects=objects))
    return DatasetIndex(folder, "made", sets.CLASSES, tuple(samples), annotation="masks")


@pytest.mark.parametrize("form", ["coco", "parquet"])
def test_ignored_pixels_are_told(form, read, tmp_path):
    def edge(values):
        values[0] = 255
        return values
    for name, change, told in (("none", sets.same, 0), ("some", edge, 1)):
        first = read("masks", sets.masks(change)(tmp_path / name))
        notes = written(first, form, tmp_path / f"{name}-{form}")
        assert [note for note in notes if "ignored" in note] == told * [
            "pixels that are ignored in the semantic masks of 1 image become background, because no format that is "
            "written has such pixels"]


@pytest.mark.parametrize("form", ["label_csv", "labelme", "coco"])
def test_masks_to_the_pixel(read, tmp_path, form):
    index = to_objects(masked(tmp_path / "set", SHAPES.values()))
    from reading import probe

    infos = {sample.name: probe(sample.path) for sample in index.samples}
    record = find_writer(form, load_plugins().dataset_formats, "masks")
    write_dataset(index, infos, record, tmp_path / "out")
    second = by_stem(read("masks", [f"dataset.root={tmp_path / 'out'}"]))
    for sample in index.samples:
        other = second[sample.path.stem]
        expected, found = (semantic_map(item, sets.CLASSES, HEIGHT, WIDTH) for item in (sample, other))
        assert (expected == found).all(), sample.name
        assert [item.label for item in other.objects] == [item.label for item in sample.objects]


def test_yolo_keeps_what_one_polygon_can_say_and_tells_of_the_rest(read, tmp_path):
    from reading import probe

    index = to_objects(masked(tmp_path / "set", SHAPES.values()))
    infos = {sample.name: probe(sample.path) for sample in index.samples}
    record = find_writer("yolo", load_plugins().dataset_formats, "masks")
    said = write_dataset(index, infos, record, tmp_path / "out")
    assert len(said) == 1
    second = by_stem(read("masks", [f"dataset.root={tmp_path / 'out'}"]))
    exact = 0
    for name, sample in zip(SHAPES, index.samples, strict=False):
        masks = [decode(item.mask, HEIGHT, WIDTH) for item in second[sample.path.stem].objects]
        same = bool(masks) and (np.any(masks, 0) == decode(sample.objects[0].mask, HEIGHT, WIDTH)).all()
        exact += same
        assert same or name in ("with a hole", "a line", "one pixel", "two parts")
    assert said[0].startswith(f"{len(SHAPES) - 2} masks") or exact >= 2


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("form", ["label_csv", "labelme", "coco"])
def test_labels(read, tmp_path, form, multi_label):
    rows = []
    for number in range(8):
        picture(tmp_path / "set" / f"{number}.png", number)
        if multi_label:
            rows += [f"{number}.png,cat,{int(number < 5)}", f"{number}.png,dog,{int(2 < number < 7)}"]
        else:
            rows.append(f"{number}.png,{'cat' if number < 4 else 'dog'}")
    (tmp_path / "set" / "label.csv").write_text("\n".join(rows))
    first = read("labels", [f"dataset.root={tmp_path / 'set'}"])
    assert first.index.multi_label is multi_label
    assert written(first, form, tmp_path / "out") == []
    second = read("labels", [f"dataset.root={tmp_path / 'out'}"])
    assert (second.index.format, second.index.classes, second.index.multi_label) == (form, ("cat", "dog"), multi_label)
    assert {stem: sample.labels for stem, sample in by_stem(second).items()} == \
        {stem: sample.labels for stem, sample in by_stem(first).items()}


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_the_split_stays(read, tmp_path, form):
    first = read("boxes", sets.coco()(tmp_path / "set"))
    sides = ("train", "train", "validation", "train", "train", "validation", "train", "validation")
    samples = tuple(replace(sample, split=side) for sample, side in zip(first.index.samples, sides, strict=True))
    first = replace(first, index=replace(first.index, samples=samples))
    written(first, form, tmp_path / "out")
    second = read("boxes", [f"dataset.root={tmp_path / 'out'}"])
    assert {sample.path.stem: sample.split for sample in second.index.samples} == \
        {sample.path.stem: sample.split for sample in samples}


@pytest.mark.parametrize("form", ["labelme", "yolo", "coco", "voc"])
def test_the_longest_names(read, tmp_path, form):
    """Those that leave no room for the longer suffix of the annotation are cut."""
    first = read("boxes", sets.coco()(tmp_path / "set"))
    names = [f"{number}{'ä' * 124}x.ppm" for number in range(8)]
    assert {len(name.encode()) for name in names} == {254}
    samples = []
    for sample, name in zip(first.index.samples, names, strict=True):
        path = sample.path.with_name(name)
        sample.path.rename(path)
        samples.append(replace(sample, path=path, name=name))
    infos = dict(zip(names, first.infos.values(), strict=True))
    first = replace(first, index=replace(first.index, samples=tuple(samples)), infos=infos)
    assert written(first, form, tmp_path / "out") == []
    second = read("boxes", [f"dataset.root={tmp_path / 'out'}", f"dataset.format={form}"])
    assert {sample.path.name[0]: sample.labels for sample in second.index.samples} == \
        {sample.name[0]: sample.labels for sample in samples}
    assert {sample.path.suffix for sample in second.index.samples} == {".ppm"}


def test_maps_of_classes_and_what_cannot_be_written(read, tmp_path):
    first = read("masks", sets.masks()(tmp_path / "set"))
    written(first, "coco", tmp_path / "out")
    second = by_stem(read("masks", [f"dataset.root={tmp_path / 'out'}"]))
    for stem, sample in by_stem(first).items():
        maps = [semantic_map(item, first.index.classes, HEIGHT, WIDTH) for item in (sample, second[stem])]
        assert (maps[0] == maps[1]).all()
    with pytest.raises(UserError, match="already exists"):
        written(first, "coco", tmp_path / "out")
    for name, says in (("voc", "has no masks"), ("mask_folders", "cannot be written"), ("cocoa", "does not exist")):
        with pytest.raises(UserError, match=says):
            find_writer(name, load_plugins().dataset_formats, "masks")
