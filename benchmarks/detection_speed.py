"""Images a second that RTMDet-tiny and YOLO11n train, each with its own augmentation, alternating in one run.

    python benchmarks/detection_speed.py --peer peers/bin/python --stardist stardist-0.9.2-*.whl [--rounds 10] \\
        [--before OTHER/.venv/bin/python] [--size 128] [--batch 16] [OVERRIDE ...]

The peer's environment and the data are those of ``peers.py``: 100 tiles of nuclei, 4 held out. Both sides have the same
input size, batch and threads, no weights, and schedules of 200 epochs. They take turns, an epoch each with its
validation and checkpoints; the first does not count. No process loads for another, and the seconds are the process's
own, so that other programs disturb little. ``--before`` is the Python of another version of sightsmith as a third side.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from peers import write_nuclei, write_yolo

IMAGES, LENGTH = 100, 200
EPOCH = "an epoch took "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stardist", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True, help="the Python that has Ultralytics")
    parser.add_argument("--before", type=Path, help="the Python of another version of sightsmith")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("overrides", nargs="*", help="of sightsmith train")
    options = parser.parse_args()
    sides = {"sightsmith": Path(sys.executable), "ultralytics": options.peer}
    sides |= {"before": options.before} if options.before else {}
    found: dict[str, list[float]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        data = Path(folder) / "data"
        write_nuclei(options, data)
        write_yolo(data, masks=False)
        running = {side: processes.enter_context(_start(python, side, {
            "data": str(data), "work": str(Path(folder) / side), "size": options.size, "batch": options.batch,
            "overrides": options.overrides})) for side, python in sides.items()}
        for _ in range(options.rounds + 1):
            for side, process in running.items():
                found[side].append(_next(process))
            print(", ".join(f"{side} {IMAGES / taken[-1]:.2f}" for side, taken in found.items()), flush=True)
        for process in running.values():
            process.kill()
    found = {side: [IMAGES / seconds for seconds in taken[1:]] for side, taken in found.items()}
    for side, taken in found.items():
        ratios = [mine / other for mine, other in zip(found["sightsmith"], taken, strict=True)]
        print(f"{side}: {statistics.median(taken):.2f} images a second; sightsmith over it "
              f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def _start(python: Path, side: str, asked: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen([python, __file__, "--side", side, json.dumps(asked)], text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _next(process: subprocess.Popen[str]) -> float:
    """Let a side train an epoch; its seconds."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    for line in process.stdout:
        if line.startswith(EPOCH):
            return float(line.removeprefix(EPOCH))
    sys.exit(f"{process.args} ended")


# The sides, each in a process of its own


class Turns:
    """Called at the start of each epoch: says how long the one before took, and waits for the next turn."""

    def __init__(self) -> None:
        self._begun: float | None = None

    def __call__(self, *_: object) -> None:
        if self._begun is not None:
            print(f"{EPOCH}{time.process_time() - self._begun}", flush=True)
        sys.stdin.readline()
        self._begun = time.process_time()


def _sightsmith(asked: dict[str, Any]) -> None:
    import sightsmith
    import sightsmith.engine.pipeline.start
    from sightsmith.engine.training.trainer import Trainer

    turn, train_epoch = Turns(), Trainer.train_epoch

    def timed(self: Trainer) -> float:
        turn()
        return train_epoch(self)

    Trainer.train_epoch = timed  # type: ignore[method-assign]
    sightsmith.train([
        "task=detection", f"dataset.root={asked['data']}", "network=rtmdet_tiny", "network.weights=none",
        f"image.size={asked['size']}", f"hyper.batch_size={asked['batch']}", f"hyper.epochs={LENGTH}",
        "trainer.num_workers=0", "logger=[]", f"output_dir={asked['work']}", *asked["overrides"]])


def _ultralytics(asked: dict[str, Any]) -> None:
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_CONFIG_DIR"] = asked["work"]
    from ultralytics import YOLO, settings

    settings.update({"sync": False, "raytune": False})
    model = YOLO("yolo11n.yaml")
    model.add_callback("on_train_epoch_start", Turns())
    model.train(data=str(Path(asked["data"]).with_name("yolo") / "data.yaml"), epochs=LENGTH, seed=0, device="cpu",
                project=asked["work"], name="run", imgsz=asked["size"], batch=asked["batch"], nbs=asked["batch"],
                workers=0)


if __name__ == "__main__":
    if sys.argv[1] == "--side":
        Path(json.loads(sys.argv[3])["work"]).mkdir(parents=True)
        {"ultralytics": _ultralytics}.get(sys.argv[2], _sightsmith)(json.loads(sys.argv[3]))
    else:
        main()
