"""What every format of an annotation tool has in common: right values, moved images, and the way back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from object_datasets import BOX, CLASSES, HEIGHT, WIDTH, coco, label, labelme, mask, picture, voc_xml
from PIL import Image
from tool_datasets import MAKERS, elsewhere

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.data.convert import to_objects
from sightsmith.engine.data.masks import box, decode, encode, semantic_map
from sightsmith.engine.data.write import find_writer, write_dataset
from sightsmith.engine.pipeline.load_dataset import check
from sightsmith.testing import PluginConformance

WITHOUT_MASKS = {"createml", "hf_image_folder"}
SEMANTIC = {"parquet"}
"""Formats whose masks are those of classes, not of objects."""
WITH_MASKS = [name for name in MAKERS if name not in WITHOUT_MASKS | SEMANTIC]


def by_number(samples):
    """By the number in the name of the image, which has its row before it in a Parquet file."""
    return {int(Path(sample.name).stem.rpartition("-")[2]): sample for sample in samples}


def annotation_files(root):
    return [path for path in root.rglob("*") if path.is_file() and path.parent.name != "images"]


@pytest.mark.parametrize("form", MAKERS)
def test_boxes(form, checked, tmp_path):
    dataset = checked(tmp_path, MAKERS[form]()(tmp_path), "boxes")
    assert dataset.index.classes == CLASSES
    assert not [problem for problem in dataset.problems if problem.severity == "error"]
    found = by_number(dataset.index.samples)
    assert sorted(found) == list(range(8))
    for number, sample in found.items():
        assert [item.label for item in sample.objects] == ([label(number)] if label(number) else [])
        for item in sample.objects:
            assert item.box == pytest.approx(BOX, abs=1e-6)
            assert item.mask is None and not item.crowd and (item.line or item.source_id)


@pytest.mark.parametrize("form", WITH_MASKS)
def test_masks(form, checked, tmp_path):
    dataset = checked(tmp_path, MAKERS[form]("polygon")(tmp_path), "masks")
    for number, sample in by_number(dataset.index.samples).items():
        assert [item.label for item in sample.objects] == ([label(number)] if label(number) else [])
        for item in sample.objects:
            assert np.array_equal(decode(item.mask, HEIGHT, WIDTH), mask())


@pytest.mark.parametrize("form", MAKERS)
def test_labels(form, checked, tmp_path):
    dataset = checked(tmp_path, MAKERS[form]("labels")(tmp_path), "labels")
    assert dataset.index.classes == CLASSES
    assert dataset.index.multi_label  # the last image has none
    assert {number: sample.labels for number, sample in by_number(dataset.index.samples).items()} == \
        {number: (label(number),) if label(number) else () for number in range(8)}


@pytest.mark.parametrize("form", MAKERS)
def test_paths_of_another_machine(form, index_of, errors, warned, tmp_path):
    index = index_of(tmp_path, MAKERS[form](path=elsewhere)(tmp_path))
    assert errors(index) == []
    assert len(index.samples) == 8
    assert sum("matched by the ending" in text for text in warned(index)) == 1


def pages(folder, suffix=".tif"):
    """A file of eight pages, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(np.full((HEIGHT, WIDTH), 30 * number, np.uint8)) for number in range(8))
    first.save(folder / f"scan{suffix}", save_all=True, append_images=others)


def frames_of(samples):
    return {sample.frame: sample for sample in samples}


@pytest.mark.parametrize("form", MAKERS)
def test_frames_by_their_names(form, checked, tmp_path):
    name = MAKERS[form](path=lambda number: f"scan.tif#{7 - number}")(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    pages(tmp_path / "images")
    dataset = checked(tmp_path, name, "boxes", "dataset.group_by=none", "dataset.min_images_per_class=1")
    assert {sample.image for sample in dataset.index.samples} == {f"images/scan.tif#{page}" for page in range(8)}
    for frame, sample in frames_of(dataset.index.samples).items():
        assert [item.label for item in sample.objects] == ([label(7 - frame)] if label(7 - frame) else [])


def frames_csv(root, rows=range(8)):
    pages(root)
    (root / "label.csv").write_text("".join(f"scan.tif#{number},{label(number) or 'dog'}\n" for number in rows))
    return "label_csv"


def frames_coco(root):
    def change(content):
        for image in content["images"]:
            image["file_name"] = f"scan.tif#{image['id']}"
    coco(change=change)(root)
    pages(root / "images")
    return "coco"


def frames_labelme(root):
    labelme()(root)
    for number in range(8):
        (root / f"{number}.png").unlink()
        path = root / f"{number}.json"
        path.write_text(path.read_text().replace(f'"{number}.png"', f'"scan.tif#{number}"'))
    pages(root)
    return "labelme"


def frames_voc(root):
    pages(root)
    for number in range(8):
        (root / f"scan-{number}.xml").write_text(voc_xml(number).replace(f"{number}.jpg", f"scan.tif#{number}"))
    return "voc"


@pytest.mark.parametrize("make", [frames_csv, frames_coco, frames_labelme, frames_voc])
def test_frames_by_their_names_in_the_other_formats(make, index_of, errors, tmp_path):
    index = index_of(tmp_path, make(tmp_path))
    assert errors(index) == []
    found = frames_of(index.samples)
    assert sorted(found) == list(range(8)) and {sample.path.name for sample in index.samples} == {"scan.tif"}
    assert [found[number].labels for number in (0, 4)] == [("cat",), ("dog",)]


@pytest.mark.parametrize("form", ["voc", "yolo", "parquet"])
def test_annotated_frames_are_written_with_their_boxes(form, checked, plugins, tmp_path):
    options = ("boxes", "dataset.group_by=none", "dataset.min_images_per_class=1")
    first = checked(tmp_path / "set", frames_coco(tmp_path / "set"), *options)
    record = find_writer(form, plugins.dataset_formats, "boxes")
    [note] = write_dataset(first.index, first.infos, record, tmp_path / "out")
    assert note.startswith("8 frames of 1 file become images of their own")
    found = by_number(checked(tmp_path / "out", form, *options).index.samples)
    for frame, sample in frames_of(first.index.samples).items():
        assert [item.label for item in found[frame].objects] == [item.label for item in sample.objects]
        assert [item.box for item in found[frame].objects] == [pytest.approx(item.box) for item in sample.objects]


def test_frames_that_are_not_there_are_missing_or_come_twice(plugins, tmp_path):
    frames_csv(tmp_path, (0, 1, 4, 5, 8))
    picture(tmp_path / "flat.png", 1)
    table = tmp_path / "label.csv"
    table.write_text(table.read_text() + "flat.png#0,cat\n")

    def said():
        config = compose(["task=classification", f"dataset.root={tmp_path}", "dataset.group_by=none"], plugins)
        return check(config, plugins, lambda line: None)
    dataset = said()
    texts = "\n".join(map(str, dataset.problems))
    assert "label.csv:5: scan.tif#8 does not exist: scan.tif has 8 frames, counted from 0" in texts
    assert "4 frames without annotation of 1 file, others of which have some, are ignored: scan.tif" in texts
    assert "flat.png" in {sample.key for sample in dataset.index.samples}
    table.write_text(table.read_text() + "scan.tif,dog\n")
    assert "label.csv:7: scan.tif has another annotation, too, as a frame or with its whole file" in "\n".join(
        map(str, said().problems))
    table.write_text(table.read_text() + "flat.png,cat\n")
    dataset = said()
    assert "label.csv:8: flat.png has another annotation, too" in "\n".join(map(str, dataset.problems))
    assert [sample.key for sample in dataset.index.samples].count("flat.png") == 1


@pytest.mark.parametrize("form", MAKERS)
def test_an_image_that_is_not_there(form, index_of, errors, tmp_path):
    name = MAKERS[form]()(tmp_path)
    (tmp_path / "images" / "3.png").unlink()
    [error] = errors(index_of(tmp_path, name))
    assert "there is no image '3.png'" in error
    assert error.startswith(index_of(tmp_path, name).samples[0].file)


@pytest.mark.parametrize("form", MAKERS)
def test_an_image_twice(form, index_of, errors, tmp_path):
    index = index_of(tmp_path, MAKERS[form](path=lambda number: f"{max(number, 1)}.png")(tmp_path))
    [error] = errors(index)
    assert "refers to the image images/1.png, as does" in error
    assert len(index.samples) == 7


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize("text", ["", "{}", "[]", "[1, 2]", "null", '{"a": {"b": []}}', "<annotations>", "\x00\xff",
                                  "a,b\n"])
def test_a_file_of_something_else(form, text, index_of, tmp_path):
    """Whatever stands in the file, reading it raises nothing and finds nothing."""
    name = MAKERS[form]()(tmp_path)
    for path in annotation_files(tmp_path):
        path.write_text(text)
    index = index_of(tmp_path, name)
    assert index.samples == ()
    assert index.problems


@pytest.mark.parametrize("form", MAKERS)
def test_a_zip(form, checked, tmp_path):
    name = MAKERS[form]()(tmp_path / "set")
    shutil.make_archive(str(tmp_path / "pets"), "zip", tmp_path / "set")
    dataset = checked(tmp_path / "pets.zip", name, "boxes")
    assert len(dataset.index.samples) == 8


@pytest.mark.parametrize("form", MAKERS)
def test_it_is_detected_and_the_folder_without_its_file_is_not(form, plugins, tmp_path):
    name = MAKERS[form]()(tmp_path)
    detect = plugins.dataset_formats[name].make().detect
    assert detect(tmp_path).reason
    for path in annotation_files(tmp_path):
        path.unlink()
    assert detect(tmp_path) is None


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize("kind", ["box", "polygon", "labels"])
def test_every_other_format_is_less_certain(form, kind, plugins, tmp_path):
    if kind == "polygon" and form not in WITH_MASKS:
        kind = "box"
    name = MAKERS[form](kind)(tmp_path)
    found = {other: match.confidence for other, record in plugins.dataset_formats.items()
             if (match := record.make().detect(tmp_path)) is not None}
    best = found.pop(name)
    assert all(confidence < best for confidence in found.values()), found


def written(index, form, folder, plugins):
    from reading import probe

    infos = {sample.name: probe(sample.path) for sample in index.samples}
    return write_dataset(index, infos, find_writer(form, plugins.dataset_formats, index.annotation), folder)


def drawn(folder, annotation):
    """Five images: two objects, a hole, a crowd, none, and two parts; some in a split."""
    square, hole, parts = mask(), mask().copy(), np.zeros((HEIGHT, WIDTH), bool)
    hole[5:7, 4:6] = False
    parts[1:4, 1:4] = parts[12:18, 15:20] = True
    shapes = [[("cat", square), ("dog", parts)], [("dog", hole)], [("cat", square)], [], [("dog", parts)]]
    samples = []
    for number, items in enumerate(shapes):
        objects = tuple(Object(name, box(encode(values)), encode(values) if annotation == "masks" else None)
                        for name, values in items)
        path = picture(folder / f"{number}.png", number)
        samples.append(Sample(path, path.name, tuple(sorted({name for name, _ in items})),
                              objects=() if annotation == "labels" else objects))
    return DatasetIndex(folder, "made", CLASSES, tuple(samples), annotation == "labels", annotation=annotation)


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize("annotation", ["labels", "boxes", "masks"])
def test_what_is_written_reads_back(form, annotation, checked, plugins, tmp_path):
    record = plugins.dataset_formats[form]
    if record.writer is None or annotation not in record.annotations:
        assert form in WITHOUT_MASKS
        return
    index = drawn(tmp_path / "set", annotation)
    index = index if annotation == "labels" else to_objects(index)
    notes = written(index, form, tmp_path / "out", plugins)
    assert len(notes) == (form in ("via", *SEMANTIC) and annotation == "masks")
    second = checked(tmp_path / "out", form, annotation, "dataset.min_images_per_class=1").index
    assert second.classes == index.classes
    for sample, other in zip(index.samples, (by_number(second.samples)[number] for number in range(5)), strict=True):
        assert other.labels == sample.labels
        if annotation == "masks" and form in SEMANTIC:
            assert np.array_equal(semantic_map(sample, CLASSES, HEIGHT, WIDTH),
                                  semantic_map(other, second.classes, HEIGHT, WIDTH))
            continue
        assert [item.label for item in other.objects] == [item.label for item in sample.objects] or form == "via"
        if annotation == "boxes":
            assert [item.box for item in other.objects] == [pytest.approx(item.box) for item in sample.objects]
        if annotation == "masks" and form != "via":
            for item, again in zip(sample.objects, other.objects, strict=True):
                assert np.array_equal(decode(item.mask, HEIGHT, WIDTH), decode(again.mask, HEIGHT, WIDTH))


@pytest.mark.parametrize("form", ["cvat", "voc"])
def test_xml_without_a_character_for_a_name_is_not_written(form, plugins, tmp_path):
    index = drawn(tmp_path / "set", "boxes")
    first = replace(index.samples[0], objects=(replace(index.samples[0].objects[0], label="c\x01t"),))
    with pytest.raises(UserError, match=r"XML cannot hold the control character in the name 'c\\x01t'"):
        written(replace(index, samples=(first, *index.samples[1:])), form, tmp_path / "out", plugins)
    assert written(index, form, tmp_path / "again", plugins) == []


@pytest.mark.parametrize("form", ["cvat", "datumaro", "hf_image_folder", "parquet"])
def test_split_and_crowds_stay(form, index_of, plugins, tmp_path):
    index = drawn(tmp_path / "set", "boxes")
    splits = ("train", "train", "validation", "test", "validation")
    samples = [replace(sample, split=split) for sample, split in zip(index.samples, splits, strict=True)]
    samples[2] = replace(samples[2], objects=tuple(replace(item, crowd=True) for item in samples[2].objects))
    notes = written(replace(index, samples=tuple(samples)), form, tmp_path / "out", plugins)
    assert len(notes) == (form in ("hf_image_folder", "parquet"))  # they have no crowds
    found = by_number(index_of(tmp_path / "out", form).samples)
    assert [found[number].split for number in range(5)] == list(splits)
    crowds = [item.crowd for number in range(5) for item in found[number].objects]
    assert crowds == ([False] * 4 if notes else [False, False, False, True, False])


def test_the_conformance_suite_takes_every_format(tmp_path):
    class Suite(PluginConformance):
        distribution = "sightsmith"

    Suite().test_formats_read_what_they_write(tmp_path)
