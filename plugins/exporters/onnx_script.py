"""Runs the ONNX model in this folder on images. Needs onnxruntime, numpy and pillow; no torch, no sightsmith. A model
of other than three channels takes .npy arrays and, with tifffile, TIFF files of as many bands.

    python predict.py photo.jpg more/*.png > predictions.json
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
MERGE_IOU = 0.5
"""Boxes of one class from neighbouring tiles with a larger IoU are the same object."""

Array = np.ndarray[Any, np.dtype[Any]]


class Planes:
    """An image of several bands from 0 to 255, with what Pillow's images have."""

    def __init__(self, planes: list[Image.Image]) -> None:
        self.planes, self.size = planes, planes[0].size
        self.width, self.height = self.size

    def crop(self, box: tuple[int, int, int, int]) -> Planes:
        return Planes([plane.crop(box) for plane in self.planes])

    def resize(self, size: tuple[int, int], resample: Image.Resampling) -> Planes:
        return Planes([plane.resize(size, resample) for plane in self.planes])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.stack([np.asarray(plane, dtype) for plane in self.planes], 2)


def read_bands(path: str, card: dict[str, Any]) -> Planes:
    """A ``.npy`` array (H, W, C), or a TIFF file."""
    channels, span = card["input"]["shape"][1], card["image"]["range"]
    try:
        values = np.load(path, allow_pickle=False) if path.lower().endswith(".npy") else read_tiff(path, card)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from error
    if values.ndim != 3 or values.shape[2] != channels:
        raise SystemExit(f"{path} has the shape {values.shape}, and the model takes {channels} bands")
    if values.dtype.kind == "f" or values.dtype.itemsize > 2:
        if span is None:
            raise SystemExit(f"{path} has {values.dtype} values, and the model was trained without image.range")
        low, high = span
    else:
        limits = np.iinfo(values.dtype)
        low, high = span if span and values.dtype.itemsize > 1 else (limits.min, limits.max)
    scaled = 255 * np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)
    return Planes([Image.fromarray(np.ascontiguousarray(scaled[..., place])) for place in range(channels)])


def read_tiff(path: str, card: dict[str, Any]) -> Array:
    try:
        import tifffile
    except ModuleNotFoundError as error:
        raise SystemExit("TIFF files of several bands need tifffile: pip install tifffile") from error
    with tifffile.TiffFile(path) as file:
        pages: Any = file.pages if card["image"]["pages"] == "channels" else file.pages[:1]
        found = [(page.axes, page.asarray()) for page in pages]
    return np.dstack([np.moveaxis(values, 0, -1) if axes.startswith("S") else values for axes, values in found])


def read(path: str, card: dict[str, Any]) -> Image.Image | Planes:
    """Upright; RGB, or one channel F in [0, 1] for more than 8 bits; other bands by :func:`read_bands`."""
    if card["input"]["shape"][1] != 3:
        return read_bands(path, card)
    try:
        image: Image.Image = ImageOps.exif_transpose(Image.open(path))
    except OSError as error:
        raise SystemExit(f"{path} cannot be read: {error}") from error
    if image.mode == "F" or image.mode.startswith("I"):
        low, high = card["image"]["range"] or (0, 65535)
        return Image.fromarray(np.clip((np.asarray(image, np.float32) - low) / (high - low), 0, 1))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.composite(image.convert("RGB"), Image.new("RGB", image.size), image.getchannel("A"))
    return image.convert("RGB")


def tiles(size: tuple[int, int], card: dict[str, Any]) -> Iterator[tuple[int, int, int, int]]:
    """(left, top, right, bottom) of the tiles that the model runs on, or of the whole image."""
    side, overlap = card["tile"]["side"] or max(size), card["tile"]["overlap"] / 100
    across, down = (cut(length, side, overlap) for length in size)
    for top, bottom in down:
        for left, right in across:
            yield left, top, right, bottom


def cut(length: int, side: int, overlap: float) -> list[tuple[int, int]]:
    if length <= side:
        return [(0, length)]
    count = 1 + math.ceil((length - side) / (side * (1 - overlap)))
    starts = [round(number * (length - side) / (count - 1)) for number in range(count)]
    return [(start, start + side) for start in starts]


def feed(part: Image.Image | Planes, card: dict[str, Any]) -> tuple[Array, tuple[int, int]]:
    """The model's input (C, H, W), and the (width, height) of the image in it."""
    spec = card["input"]
    height, width = spec["shape"][2:]
    if spec["fit"] == "stretch":
        size = (width, height)
        scaled = part.resize(size, Image.Resampling.BILINEAR)
    else:
        scale = min(spec["longest"] / max(part.size), width / part.width, height / part.height)
        size = (max(round(scale * part.width), 1), max(round(scale * part.height), 1))
        scaled = part.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    values: Array = np.asarray(scaled, np.float32)
    values = np.repeat(values[..., None], 3, 2) if values.ndim == 2 else values / 255
    padded = np.empty((height, width, values.shape[2]), np.float32)
    padded[:] = spec.get("pad", 0)
    padded[:size[1], :size[0]] = values
    return padded.transpose(2, 0, 1), size


def find_objects(outputs: dict[str, Array], size: tuple[int, int], tile: tuple[int, int, int, int],
                 whole: Image.Image | Planes,
                 classes: list[str]) -> list[dict[str, Any]]:
    """Boxes and masks of one tile, in pixels of the whole image."""
    left, top, right, bottom = tile
    scale = np.array([(right - left) / size[0], (bottom - top) / size[1]] * 2)
    found = []
    centres = (outputs["boxes"][:, :2] + outputs["boxes"][:, 2:]) / 2
    for place in np.flatnonzero((outputs["scores"] > 0) & (centres < size).all(1)):
        box = outputs["boxes"][place].clip(0, [*size, *size]) * scale + [left, top, left, top]
        item = {"label": classes[outputs["labels"][place]], "score": float(outputs["scores"][place]),
                "box": box.tolist()}
        if "masks" in outputs:
            shown = Image.fromarray(255 * outputs["masks"][place][:size[1], :size[0]])
            item["mask"] = np.zeros((whole.height, whole.width), bool)
            item["mask"][top:bottom, left:right] = np.asarray(
                shown.resize((right - left, bottom - top), Image.Resampling.BILINEAR)) > 127
        found.append(item)
    return found


def merged(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Non-maximum suppression per class, by falling score."""
    kept: list[dict[str, Any]] = []
    for item in sorted(objects, key=lambda item: -item["score"]):
        if all(other["label"] != item["label"] or iou(other["box"], item["box"]) <= MERGE_IOU for other in kept):
            kept.append(item)
    return kept


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both) if both else 0.0


def predict(path: str, session: Any, card: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The prediction for an image; semantic and object masks are written into ``folder``."""
    image, classes = read(path, card), card["classes"]
    prediction: dict[str, Any] = {"image": path, "width": image.width, "height": image.height}
    objects: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    summed: Any = 0
    places = list(tiles(image.size, card))
    for tile in places:
        values, size = feed(image.crop(tile), card)
        outputs = {name: value[0] for name, value in zip(
            card["outputs"], session.run(list(card["outputs"]), {"images": values[None]}), strict=True)}
        if "probabilities" in outputs:
            best = np.argsort(-outputs["probabilities"], kind="stable")[:5]
            return prediction | {"labels": [{"label": classes[place], "score": float(outputs["probabilities"][place])}
                                            for place in best]}
        if "boxes" in outputs:
            objects += find_objects(outputs, size, tile, image, classes)
        elif "logits" in outputs:
            left, top, right, bottom = tile
            summed = np.zeros((len(outputs["logits"]), image.height, image.width), np.float32) + summed
            for number, logits in enumerate(outputs["logits"]):
                shown = Image.fromarray(logits[:size[1], :size[0]])
                summed[number, top:bottom, left:right] += np.asarray(
                    shown.resize((right - left, bottom - top), Image.Resampling.BILINEAR))
        else:  # raw outputs of a task from another plugin
            parts.append({"tile": tile, **{name: value.tolist() for name, value in outputs.items()}})
    if parts:
        return prediction | {"outputs": parts}
    if "logits" in card["outputs"]:
        return prediction | {"semantic_mask": write_map(folder / f"{Path(path).stem}-classes.png", summed.argmax(0))}
    found = merged(objects) if len(places) > 1 else objects
    if "masks" in card["outputs"]:
        numbers = np.zeros((image.height, image.width), np.uint8)
        for number, item in reversed(list(enumerate(found, 1))):
            numbers[item.pop("mask")] = number  # higher scores overwrite lower ones
        prediction["object_map"] = write_map(folder / f"{Path(path).stem}-objects.png", numbers)
    return prediction | {"objects": found}


def write_map(path: Path, values: Array) -> str:
    """8 bits: 0 is the background, ``i + 1`` class or object ``i``."""
    if path.exists():
        raise SystemExit(f"{path} already exists: choose another --output-dir")
    Image.fromarray(values.astype(np.uint8)).save(path)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Predicts images; prints JSON.")
    parser.add_argument("images", nargs="+", help="JPEG, PNG, TIFF or BMP; TIFF or .npy for other than three "
                                                    "channels")
    parser.add_argument("--output-dir", type=Path, default=Path(), help="folder for semantic or object masks [.]")
    options = parser.parse_args()
    card = json.loads((HERE / "model.json").read_text())
    if len(card["image"]["windows"]) > 1:
        raise SystemExit("The model takes DICOM windows, which this script does not support; model.json describes "
                         "its input")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=onnxruntime.get_available_providers())
    predictions = [predict(path, session, card, options.output_dir) for path in options.images]
    print(json.dumps(predictions, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
