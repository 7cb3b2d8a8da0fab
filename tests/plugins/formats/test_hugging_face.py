"""Hugging Face's tables and Parquet files: columns, names of classes, embedded images and mistakes."""

from __future__ import annotations

import builtins
import io
import json
import sys

import numpy as np
import pytest
import tifffile
from broken_datasets import picture
from object_datasets import BOX, CLASSES, class_values, label, mask, pictures
from PIL import Image
from pyarrow.parquet import read_table
from reading import probe
from tool_datasets import hf_image_folder, parquet

from sightsmith.core.contracts.annotation import Object
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.masks import encode, semantic_map
from sightsmith.engine.data.write import find_writer, write_dataset
from sightsmith.plugins.formats import write_parquet

CARD = """---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: {}
    {}
---
# Pets
"""
LABEL = ("label", "dtype:\n      class_label:\n        names:\n          '0': cat\n          '1': dog")
OBJECTS = ("objects", "sequence:\n    - name: categories\n      dtype:\n        class_label:\n"
                      "          names: {1: dog, 0: cat}")


def first(index):
    return next(sample for sample in index.samples if "0" in sample.path.name or sample.name.endswith("-0.png"))


def csv_table(rows, name="metadata.csv"):
    def make(root):
        pictures(root / "images")
        (root / name).write_text(rows)
        return "hf_image_folder"
    return make


ROWS = "".join(f"images/{number}.png,{label(number) or ''},x\n" for number in range(8))


def test_a_csv(index_of, errors, tmp_path):
    index = index_of(tmp_path, csv_table("file_name,label,text\n" + ROWS)(tmp_path))
    assert errors(index) == []
    assert [sample.labels for sample in index.samples] == [("cat",)] * 4 + [("dog",)] * 3 + [()]
    assert index.samples[0].line == 2


@pytest.mark.parametrize(("kind", "card"), [("labels", LABEL), ("box", OBJECTS)])
@pytest.mark.parametrize("as_text", [False, True])
def test_numbers_have_the_names_of_the_card(kind, card, as_text, index_of, errors, warned, tmp_path):
    number = (lambda name: str(CLASSES.index(name))) if as_text else CLASSES.index

    def change(rows):
        for row in rows[:7]:
            if kind == "box":
                row["objects"]["categories"] = [number(name) for name in row["objects"]["categories"]]
            else:
                row["label"] = number(row["label"])
    name = hf_image_folder(kind, change=change)(tmp_path)
    assert "classes are numbers without a name: 0, 1" in warned(index_of(tmp_path, name))[0]
    (tmp_path / "README.md").write_text(CARD.format(*card))
    index = index_of(tmp_path, name)
    assert errors(index) + warned(index) == []
    assert index.classes == CLASSES
    assert first(index).labels == ("cat",)


@pytest.mark.parametrize("card", ["", "---\n[}\n---\n", "---\n- 1\n---\n", "---\ndataset_info: 3\n---\n", "\x00",
                                  "---\ndataset_info:\n  features:\n  - 4\n  - name: label\n---\n"])
def test_a_card_that_says_nothing(card, index_of, errors, tmp_path):
    name = hf_image_folder("labels")(tmp_path)
    (tmp_path / "README.md").write_text(card)
    assert errors(index_of(tmp_path, name)) == []


def test_several_labels_and_lists_of_objects(index_of, errors, tmp_path):
    def change(rows):
        rows[0]["objects"] = [{"bbox": [2, 3, 8, "6"], "category": "cat"}, {"bbox": [0, 0, 4, 4], "category": "dog"}]
    index = index_of(tmp_path / "boxes", hf_image_folder(change=change)(tmp_path / "boxes"))
    assert errors(index) == []
    assert [(item.label, item.box) for item in first(index).objects] == [("cat", BOX), ("dog", (0, 0, 4, 4))]

    def several(rows):
        for row in rows:
            row["labels"] = [row.pop("label"), "fluffy"] if row["label"] else row.pop("label")
    index = index_of(tmp_path / "labels", hf_image_folder("labels", change=several)(tmp_path / "labels"))
    assert errors(index) == []
    assert first(index).labels == ("cat", "fluffy")


def test_boxes_without_a_column_of_objects(index_of, errors, tmp_path):
    def change(rows):
        for row in rows:
            row |= row.pop("objects")
    index = index_of(tmp_path, hf_image_folder(change=change)(tmp_path))
    assert errors(index) == []
    assert [item.box for sample in index.samples for item in sample.objects] == [BOX] * 7


def test_a_table_in_the_folder_of_each_split_and_images_without_a_row(index_of, errors, warned, tmp_path):
    for split, numbers in (("train", range(5)), ("validation", range(5, 7))):
        rows = [{"file_name": f"{number}.png", "label": label(number)} for number in numbers]
        for number in numbers:
            picture(tmp_path / split / f"{number}.png", number)
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    picture(tmp_path / "train" / "more.png", 9)
    index = index_of(tmp_path, "hf_image_folder")
    assert errors(index) == []
    assert [sample.split for sample in index.samples] == ["train"] * 5 + ["validation"] * 2
    assert warned(index) == ["1 image has no row and is ignored: train/more.png"]


@pytest.mark.parametrize(("objects", "expected"), [
    ({"bbox": [[1, 2, 3]], "categories": ["cat"]}, "object 1: the box [1, 2, 3] is not four numbers"),
    ({"bbox": [[1, 2, 3, 4]], "categories": []}, "has not equally many boxes and categories"),
    ({"bbox": [[1, 2, 3, 4]]}, "has not equally many boxes and categories"),
    ({"bbox": 4, "categories": 4}, "has not equally many boxes and categories"),
    ({"bbox": [[1, 2, 3, 4]], "categories": [None]}, "object 1: 'None' is not a class"),
    ([7], "object 1: 'None' is not a class"),
])
def test_mistakes_of_objects(objects, expected, index_of, errors, tmp_path):
    def change(rows):
        rows[0]["objects"] = objects
    index = index_of(tmp_path, hf_image_folder(change=change)(tmp_path))
    [error] = errors(index)
    assert error.startswith("metadata.jsonl:1: ")
    assert expected in error
    assert len(index.samples) == 8


@pytest.mark.parametrize(("change", "expected"), [
    (lambda text: text.replace("{", "", 1), "metadata.jsonl:1: is not JSON"),
    (lambda text: text + "[1]\n", "metadata.jsonl:9: is not a JSON object"),
    (lambda text: text.replace('"label": "cat"', '"label": true', 1), "metadata.jsonl:1: 'True' is not a class"),
    (lambda text: text.replace('"label": "cat"', '"label": ""', 1), "metadata.jsonl:1: '' is not a class"),
    (lambda text: text.replace('"file_name"', '"text"', 1), "metadata.jsonl:1: names no image"),
    (lambda text: text.replace('"label"', '"text"'), "metadata.jsonl: has neither a column 'label' nor 'objects'"),
])
def test_mistakes_of_a_row(change, expected, index_of, errors, tmp_path):
    name = hf_image_folder("labels")(tmp_path)
    path = tmp_path / "metadata.jsonl"
    path.write_text(change(path.read_text()))
    [error] = errors(index_of(tmp_path, name))
    assert error.startswith(expected)


@pytest.mark.parametrize(("rows", "expected"), [
    ("file_name,label\nimages/0.png\n", "metadata.csv:2: has 1 columns, not 2"),
    ('file_name,label\nimages/0.png,"cat\n', "metadata.csv:2: is not CSV"),
    ("file_name,label\n,cat\n", "metadata.csv:2: names no image"),
])
def test_mistakes_of_a_csv(rows, expected, index_of, errors, tmp_path):
    [error] = errors(index_of(tmp_path, csv_table(rows)(tmp_path)))
    assert error.startswith(expected)


def png(number):
    """The picture with a number, as bytes."""
    content = io.BytesIO()
    values = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(values).save(content, "PNG")
    return content.getvalue()


def test_embedded_images(checked, index_of, tmp_path):
    features = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}

    def change(rows):
        for row in rows[:7]:
            row["label"] = CLASSES.index(row["label"])
        rows.pop()
    name = parquet("labels", path="b/{}.png".format, change=change, bytes_=png, features=features)(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    before = sorted(tmp_path.rglob("*"))
    index = checked(tmp_path, name, "labels").index
    assert (index.classes, index.multi_label) == (CLASSES, False)
    assert [sample.labels for sample in index.samples] == [(label(number),) for number in range(7)]
    assert index.samples[0].name == "0000.parquet/000000-0.png"
    assert index.samples[0].path.read_bytes() == png(0)
    assert sorted(tmp_path.rglob("*")) == before


def test_boxes_of_embedded_images_and_splits(index_of, errors, tmp_path):
    features = {"objects": {"bbox": {"_type": "Sequence"}, "categories": {"feature": {
        "names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "Sequence"}}}

    def change(numbers):
        def changed(rows):
            for row in rows:
                row["objects"]["categories"] = [CLASSES.index(name) for name in row["objects"]["categories"]]
            return [row for number, row in enumerate(rows) if number in numbers]
        return changed
    for name, numbers in (("train-00000-of-00001", range(5)), ("validation-00000-of-00001", range(5, 8))):
        parquet(bytes_=png, change=change(numbers), features=features, name=name)(tmp_path)
    index = index_of(tmp_path, "parquet")
    assert errors(index) == []
    assert (index.classes, index.annotation) == (CLASSES, "boxes")
    assert [sample.split for sample in index.samples] == ["train"] * 5 + ["validation"] * 3
    assert [item.box for sample in index.samples for item in sample.objects] == [BOX] * 7


def test_a_label_out_of_range_and_no_image(index_of, errors, tmp_path):
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}

    def change(rows):
        return [{"image": {"bytes": content, "path": None}, "label": number}
                for number, content in enumerate([png(0), b"8BPS", None])]
    found = errors(index_of(tmp_path, parquet("labels", change=change, features=features)(tmp_path)))
    assert found[0].startswith("0000.parquet: row 1: has an image that is neither PNG, JPEG, TIFF, BMP, GIF nor WebP")
    assert found[1].startswith("0000.parquet: row 2: the class 2 is not one of the 2 of 'label'")
    assert found[2].startswith("0000.parquet: row 2: names no image")


@pytest.mark.parametrize(("change", "expected"), [
    (lambda rows: [{"image": row["image"], "text": "x"} for row in rows], "has no column of labels, objects or masks"),
    (lambda rows: [{"label": "cat", "text": "x"} for row in rows], "has no column of images"),
])
def test_columns_that_are_missing(change, expected, index_of, errors, tmp_path):
    [error] = errors(index_of(tmp_path, parquet("labels", change=change)(tmp_path)))
    assert expected in error
    assert "its columns are" in error


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"\0" * 40 + b"PAR1", b"PAR1 is a text"])
def test_a_damaged_file(content, index_of, errors, tmp_path):
    name = parquet()(tmp_path)
    (tmp_path / "0000.parquet").write_bytes(content)
    [error] = errors(index_of(tmp_path, name))
    assert error.startswith("0000.parquet: cannot be read: ")


def test_a_file_cut_in_the_middle(index_of, errors, tmp_path):
    name = parquet("labels", bytes_=png)(tmp_path)
    path = tmp_path / "0000.parquet"
    content = bytearray(path.read_bytes())
    for place in range(4, len(content) - 900, 3):
        content[place] ^= 0x5A
    path.write_bytes(content)
    index = index_of(tmp_path, name)
    assert errors(index)


def test_without_pyarrow(index_of, errors, monkeypatch, tmp_path):
    name = parquet()(tmp_path)
    real = builtins.__import__

    def refuse(module, *rest):
        if module.startswith("pyarrow"):
            raise ImportError(module)
        return real(module, *rest)
    monkeypatch.setattr(builtins, "__import__", refuse)
    [error] = errors(index_of(tmp_path, name))
    assert "pip install 'sightsmith[parquet]'" in error


def written(annotation, tmp_path, *, multi_label=False, form=".png", classes=CLASSES):
    """Where four images with one annotation are written as Parquet, and the notes."""
    samples = []
    for number, split in enumerate(("train", "train", "validation", "test")):
        path = picture(tmp_path / "set" / f"{number}{form}", number)
        item = Object("dog", BOX, encode(mask()) if annotation == "masks" else None)
        samples.append(Sample(path, path.name, ("dog",), split=split,
                              objects=() if annotation == "labels" else (item,)))
    index = DatasetIndex(tmp_path, "made", classes, tuple(samples), multi_label, annotation=annotation)
    record = find_writer("parquet", load_plugins().dataset_formats, annotation)
    return tmp_path / "out", write_dataset(index, {item.name: probe(item.path) for item in samples}, record,
                                           tmp_path / "out")


NAMED = {"names": ["cat", "dog"], "_type": "ClassLabel"}


@pytest.mark.parametrize(("annotation", "multi_label", "column", "kind", "feature", "value"), [
    ("labels", False, "label", "int64", NAMED, 1),
    ("labels", True, "labels", "list<element: int64>", {"feature": NAMED, "_type": "Sequence"}, [1]),
    ("boxes", False, "objects", "struct<bbox: list<element: fixed_size_list<element: double>[4]>, "
                                "category: list<element: int64>>",
     {"bbox": {"feature": {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "Sequence", "length": 4},
               "_type": "Sequence"}, "category": {"feature": NAMED, "_type": "Sequence"}},
     {"bbox": [[2, 3, 8, 6]], "category": [1]}),
    ("masks", False, "mask", "struct<bytes: binary, path: string>", {"_type": "Image"}, None),
])
def test_what_is_written_is_as_hugging_face_has_it(annotation, multi_label, column, kind, feature, value, tmp_path):
    folder, notes = written(annotation, tmp_path, multi_label=multi_label)
    assert len(notes) == (annotation == "masks")
    assert sorted(path.name for path in (folder / "data").iterdir()) == [
        f"{split}-00000-of-00001.parquet" for split in ("test", "train", "validation")]
    table = read_table(folder / "data" / "train-00000-of-00001.parquet")
    assert {field.name: str(field.type) for field in table.schema} == {
        "image": "struct<bytes: binary, path: string>", column: kind}
    assert json.loads(table.schema.metadata[b"huggingface"]) == {
        "info": {"features": {"image": {"_type": "Image"}, column: feature}}}
    rows = table.to_pylist()
    assert [row["image"] for row in rows] == [
        {"bytes": (tmp_path / "set" / f"{number}.png").read_bytes(), "path": f"{number}.png"} for number in range(2)]
    if value is None:
        assert json.loads((folder / "id2label.json").read_text()) == {"0": "background", "1": "cat", "2": "dog"}
        for row in rows:
            assert np.array_equal(np.array(Image.open(io.BytesIO(row[column]["bytes"]))), 2 * mask())
    else:
        assert [row[column] for row in rows] == [value] * 2


def test_a_file_of_at_most_so_many_bytes(index_of, monkeypatch, tmp_path):
    monkeypatch.setattr(write_parquet, "SHARD", 1)
    folder, _ = written("labels", tmp_path)
    assert [path.name for path in sorted((folder / "data").glob("train*"))] == [
        "train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    assert [sample.split for sample in index_of(folder, "parquet").samples] == ["test", "train", "train", "validation"]


def test_images_that_hugging_face_does_not_decode_are_not_written(tmp_path):
    with pytest.raises(UserError, match=r"Parquet cannot have 4 of the images: 0.ppm, 1.ppm"):
        written("labels", tmp_path, form=".ppm")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["void", "Ignore", "background"])
def test_a_class_that_is_called_like_the_background_is_not_written_as_a_mask(name, tmp_path):
    with pytest.raises(UserError, match=f"in masks of Parquet, {name} would be no class"):
        written("masks", tmp_path, classes=(*CLASSES, name))
    assert not (tmp_path / "out").exists()
    written("labels", tmp_path, classes=(*CLASSES, name))


def test_a_tiff_with_long_offsets(index_of, errors, tmp_path):
    path = tmp_path / "long.tif"
    tifffile.imwrite(path, class_values(0), bigtiff=True)
    parquet(change=lambda rows: rows[0]["image"].update(bytes=path.read_bytes()))(tmp_path / "set")
    index = index_of(tmp_path / "set", "parquet")
    assert errors(index) == [] and index.samples[0].path.suffix == ".tif"


def test_writing_without_pyarrow(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "sightsmith.plugins.formats.write_parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="Writing parquet needs pyarrow, which is not installed") as caught:
        written("labels", tmp_path)
    assert caught.value.hint == "pip install 'sightsmith[parquet]'"


def masked(column, names, **more):
    """Rows of images and class masks; of the last one it is missing."""
    def change(rows):
        return [{"image": row["image"], column: {"bytes": content, "path": None}, **more}
                for row, content in zip(rows, [*(mask_png(number) for number in range(7)), None], strict=True)]

    def make(root):
        if names:
            (root / "id2label.json").write_text(json.dumps(dict(enumerate(names))))
        return parquet("labels", bytes_=png, change=change)(root)
    return make


def mask_png(number):
    content = io.BytesIO()
    Image.fromarray(class_values(number)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(("column", "names", "classes"), [
    ("mask", ("background", "cat", "dog"), CLASSES), ("label", (), ("1", "2")), ("annotation", (), ("1", "2"))])
def test_semantic_masks(column, names, classes, index_of, errors, warned, tmp_path):
    tmp_path.joinpath("images").mkdir()
    index = index_of(tmp_path, masked(column, names)(tmp_path))
    assert errors(index) + warned(index)[1:] == []
    assert warned(index)[0].startswith("1 image has no semantic mask and is ignored: 0000.parquet/000007-7.png")
    assert (index.classes, index.annotation, len(index.samples)) == (classes, "masks", 7)
    for number, sample in enumerate(index.samples):
        assert np.array_equal(semantic_map(sample, classes, 20, 24), class_values(number))


def test_a_mask_that_is_none_is_named_by_its_row(index_of, errors, tmp_path):
    picture(tmp_path / "3.jpg", 3)

    def change(rows):
        return [{"image": row["image"], "mask": {"bytes": (tmp_path / "3.jpg").read_bytes() if number == 3
                                                 else mask_png(number),
                                                 "path": None}} for number, row in enumerate(rows)]
    [error] = errors(index_of(tmp_path, parquet("labels", bytes_=png, change=change)(tmp_path)))
    assert error.startswith("0000.parquet (row 3): a semantic mask must be a PNG, TIFF or BMP")


def test_labels_stay_labels_beside_masks(index_of, errors, tmp_path):
    index = index_of(tmp_path, masked("mask", (), label="cat")(tmp_path))
    assert errors(index) == []
    assert {sample.labels for sample in index.samples} == {("cat",)} and index.annotation == "labels"
