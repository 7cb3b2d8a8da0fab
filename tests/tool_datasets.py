"""The data sets of :mod:`object_datasets` as annotation tools write them: images in ``images/``, and a file or two.

A maker fills a folder and returns its format. ``kind`` is what the tool drew: "box", "polygon" or "labels".
``path`` is what the annotation calls the image with a number; ``change`` gets what is about to be written.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from object_datasets import CLASSES, HEIGHT, WIDTH, label, pictures, same
from pyarrow import Table
from pyarrow.parquet import write_table

Path_ = Callable[[int], str]


def plain(number: int) -> str:
    return f"{number}.png"


def elsewhere(number: int) -> str:
    """A path of another machine."""
    return rf"C:\Users\ann\pets\images\{number}.png"


CVAT_SHAPES = {
    "box": '<box label="{}" source="manual" occluded="0" xtl="2.00" ytl="3.00" xbr="10.00" ybr="9.00" z_order="0">'
           "\n</box>",
    "polygon": '<polygon label="{}" points="2.00,3.00;10.00,3.00;10.00,9.00;2.00,9.00" z_order="0">\n</polygon>',
    "labels": '<tag label="{}" source="manual">\n</tag>',
}


def cvat(kind: str = "box", path: Path_ = plain, change=same, shape: str | None = None):
    """``shape`` stands in place of that of ``kind``."""
    def make(root: Path) -> str:
        pictures(root / "images")
        names = "".join(f"<label><name>{name}</name><color>#33ddff</color></label>\n" for name in CLASSES)
        lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>",
                 f"<meta><task><id>5</id><name>pets</name><labels>\n{names}</labels></task></meta>"]
        for number in range(8):
            lines.append(f'<image id="{number}" name="{path(number)}" width="{WIDTH}" height="{HEIGHT}">')
            lines += [(shape or CVAT_SHAPES[kind]).format(label(number))] if label(number) else []
            lines.append("</image>")
        (root / "annotations.xml").write_text(change("\n".join([*lines, "</annotations>", ""])))
        return "cvat"
    return make


def percent(values, kind):
    return {"box": {"x": 100 / 12, "y": 15, "width": 100 / 3, "height": 30, "rotation": 0},
            "polygon": {"points": [[100 / 12, 15], [125 / 3, 15], [125 / 3, 45], [100 / 12, 45]]}}[kind] | values


def label_studio(kind: str = "box", path: Path_ = plain, change=same, name: str = "project-1.json"):
    """``change`` gets the list of tasks."""
    def make(root: Path) -> str:
        pictures(root / "images")
        tasks = []
        for number in range(8):
            size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
            names = [label(number)]
            if kind == "labels":
                result = {"id": "a", "type": "choices", "from_name": "choice", "value": {"choices": names}}
            else:
                key = {"box": "rectanglelabels", "polygon": "polygonlabels"}[kind]
                result = {"id": "a", "type": key, "from_name": "label", **size, "value": percent({key: names}, kind)}
            annotation = {"id": 90 + number, "completed_by": 1, "was_cancelled": False, "lead_time": 3.5,
                          "result": [result] if label(number) else []}
            tasks.append({"id": number, "annotations": [annotation], "data": {"image": path(number)}})
        (root / name).write_text(json.dumps(change(tasks) or tasks))
        return "label_studio"
    return make


VIA_SHAPES = {
    "box": {"name": "rect", "x": 2, "y": 3, "width": 8, "height": 6},
    "polygon": {"name": "polygon", "all_points_x": [2, 10, 10, 2], "all_points_y": [3, 3, 9, 9]},
}


def via(kind: str = "box", path: Path_ = plain, change=same, form: str = "project"):
    """``change`` gets the images by their keys; ``form`` is project, json or csv."""
    def make(root: Path) -> str:
        pictures(root / "images")
        metadata = {}
        for number in range(8):
            named = {"species": label(number)} if label(number) else {}
            regions = [{"shape_attributes": VIA_SHAPES[kind], "region_attributes": named}] \
                if kind != "labels" and named else []
            metadata[f"{number}.png{1000 + number}"] = {
                "filename": path(number), "size": 1000 + number, "regions": regions,
                "file_attributes": {"caption": "a pet", "public_domain": "no"} | (named if kind == "labels" else {})}
        metadata = change(metadata) or metadata
        if form == "csv":
            write_via_csv(root / "via_export.csv", metadata)
        else:
            project = {"_via_settings": {"core": {"default_filepath": ""}}, "_via_img_metadata": metadata,
                       "_via_attributes": {"region": {}, "file": {}}, "_via_data_format_version": "2.0.10"}
            (root / "via.json").write_text(json.dumps(project if form == "project" else metadata))
        return "via"
    return make


def write_via_csv(path: Path, metadata: dict) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "file_size", "file_attributes", "region_count", "region_id",
                       "region_shape_attributes", "region_attributes"])
        for image in metadata.values():
            empty = {"shape_attributes": {}, "region_attributes": {}}
            for number, region in enumerate(image["regions"] or [empty]):
                rows.writerow([image["filename"], image["size"], json.dumps(image["file_attributes"]),
                               len(image["regions"]), number, json.dumps(region["shape_attributes"]),
                               json.dumps(region["region_attributes"])])


def createml(kind: str = "box", path: Path_ = plain, change=same):
    """``change`` gets the list of images."""
    def make(root: Path) -> str:
        pictures(root / "images")
        entries = []
        for number in range(8):
            box = {"label": label(number), "coordinates": {"x": 6, "y": 6, "width": 8, "height": 6}}
            found = [box if kind == "box" else label(number)] if label(number) else []
            entries.append({"image" if kind == "box" else "filename": path(number), "annotations": found})
        (root / "annotations.json").write_text(json.dumps(change(entries) or entries))
        return "createml"
    return make


DATUMARO_SHAPES = {
    "box": {"type": "bbox", "bbox": [2.0, 3.0, 8.0, 6.0]},
    "polygon": {"type": "polygon", "points": [2, 3, 10, 3, 10, 9, 2, 9]},
    "labels": {"type": "label"},
}


def datumaro(kind: str = "box", path: Path_ = plain, change=same, name: str = "default"):
    """``change`` gets the content of the file."""
    def make(root: Path) -> str:
        pictures(root / "images")
        labels = [{"name": name, "parent": "", "attributes": []} for name in CLASSES]
        content = {"dm_format_version": "1.0", "media_type": 2, "infos": {},
                   "categories": {"label": {"labels": labels, "label_groups": [], "attributes": []}}, "items": []}
        for number in range(8):
            shape = {"id": 0, "attributes": {}, "group": 0, "z_order": 0, **DATUMARO_SHAPES[kind]}
            content["items"].append({
                "id": str(number), "attr": {"frame": number}, "image": {"path": path(number), "size": [HEIGHT, WIDTH]},
                "annotations": [shape | {"label_id": CLASSES.index(label(number))}] if label(number) else []})
        content = change(content) or content
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{name}.json").write_text(json.dumps(content))
        return "datumaro"
    return make


def hf_rows(kind: str, path: Path_) -> list[dict]:
    rows = []
    for number in range(8):
        there = label(number) is not None
        found = {"objects": {"bbox": [[2, 3, 8, 6]] * there, "categories": [label(number)] * there}} if kind == "box" \
            else {"label": label(number)}
        rows.append({"file_name": path(number), **found})
    return rows


def hf_image_folder(kind: str = "box", path: Path_ = plain, change=same):
    """``change`` gets the rows."""
    def make(root: Path) -> str:
        pictures(root / "images")
        rows = hf_rows(kind, path)
        (root / "metadata.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in change(rows) or rows))
        return "hf_image_folder"
    return make


def parquet(kind: str = "box", path: Path_ = plain, change=same, bytes_=None, features=None, name: str = "0000"):
    """``change`` gets the rows; ``bytes_`` what an image with a number is; ``features`` are those of the file."""
    def make(root: Path) -> str:
        pictures(root / "images")
        rows = [{"image": {"bytes": bytes_(number) if bytes_ else None, "path": row.pop("file_name")}, **row}
                for number, row in enumerate(hf_rows(kind, path))]
        table = Table.from_pylist(change(rows) or rows)
        if features is not None:
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        write_table(table, root / f"{name}.parquet")
        return "parquet"
    return make


MAKERS = {"cvat": cvat, "label_studio": label_studio, "via": via, "createml": createml, "datumaro": datumaro,
          "hf_image_folder": hf_image_folder, "parquet": parquet}
"""By format."""
