"""Whether sightsmith computes what mmengine's Runner does: one run of the Runner, trained again by sightsmith.

    python benchmarks/replay_runner.py [--float64] [--epochs 2] [--seed 0]

The data, network and settings of ``engine_vs_runner.py``. The Runner's initial weights and the order of its images are
kept, and sightsmith starts from these and follows that order. In float64 the two stay together for longer: in float32
rounding alone has them apart after a few dozen steps. Prints the losses of both, and the AP after each epoch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import engine_vs_runner
import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", choices=("runner", "sightsmith"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        settings = argparse.Namespace(network="rtmdet_tiny", size=192, batch=8, epochs=options.epochs,
                                      seeds=options.seed, workers=0)
        engine_vs_runner._figures = lambda _options, _whole, _training, scores: scores  # type: ignore[assignment,return-value]
        {"runner": _runner, "sightsmith": _sightsmith}[options.side](settings, options.folder, options.float64)
        return
    with tempfile.TemporaryDirectory() as temporary:
        engine_vs_runner.write_canvases(Path(temporary) / "data")
        for side in ("runner", "sightsmith"):
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", temporary],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs, ours = (json.loads((Path(temporary) / f"{side}.json").read_text()) for side in ("runner", "sightsmith"))
    for number, (before, after) in enumerate(zip(theirs["losses"], ours["losses"], strict=True), 1):
        if number <= 10 or number % 5 == 0:
            print(f"step {number:4}  Runner {before:.15g}  sightsmith {after:.15g}  "
                  f"relative difference {abs(before - after) / abs(before):.1e}")
    print(f"AP after each epoch: Runner {theirs['scores']}, sightsmith {ours['scores']}")


def _runner(settings: argparse.Namespace, folder: Path, double: bool) -> None:
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    order: list[str] = []
    losses: list[float] = []

    class Spy(Hook):
        priority = "VERY_LOW"

        def before_train(self, runner: Any) -> None:
            torch.save(runner.model.state_dict(), folder / "initial.pth")
            if double:
                _to_double(runner.model)

        def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
            order.extend(Path(sample.img_path).name for sample in data_batch["data_samples"])

        def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
            losses.append(float(outputs["loss"]))

    build = Runner.from_cfg

    def from_cfg(config: Any) -> Any:
        runner = build(config)
        runner.register_hook(Spy())
        return runner

    Runner.from_cfg = from_cfg
    scores = engine_vs_runner._runner(settings, folder)
    (folder / "runner.json").write_text(json.dumps({"order": order, "losses": losses, "scores": scores}))


def _sightsmith(settings: argparse.Namespace, folder: Path, double: bool) -> None:
    from sightsmith.engine.training.sampler import EpochSampler, OptimizerStep, _even
    from sightsmith.engine.training.trainer import Trainer
    from sightsmith.plugins.openmmlab.task import OpenMMLabTask

    order = json.loads((folder / "runner.json").read_text())["order"]
    places: dict[str, int] = {}
    losses: list[float] = []
    prepare, look = OpenMMLabTask.prepare, Trainer._flush_losses

    def prepared(self: OpenMMLabTask, model: Any, samples: Any) -> None:
        prepare(self, model, samples)
        places.update({sample.path.name: place for place, sample in enumerate(samples)})
        model.load_state_dict(torch.load(folder / "initial.pth", weights_only=True), strict=False)
        if double:
            _to_double(model)

    def start(self: EpochSampler, epoch: int, skip: int = 0) -> list[OptimizerStep]:
        names = order[epoch * self.size:(epoch + 1) * self.size]
        items = [(places[name], 0) for name in names]
        self.steps = [self._step(part) for part in _even(items, self.steps_per_epoch)][skip:]
        return self.steps

    def looked(self: Trainer) -> None:
        losses.extend(float(parts[0][0]["loss"]) for _, parts in self._pending)
        look(self)

    OpenMMLabTask.prepare, EpochSampler.start, Trainer._flush_losses = prepared, start, looked  # type: ignore[method-assign]
    scores = engine_vs_runner._sightsmith(settings, folder)
    (folder / "sightsmith.json").write_text(json.dumps({"losses": losses, "scores": scores}))


def _to_double(model: Any) -> None:
    """RTMDet and its inputs in float64, also where mmdet's code names float32."""
    from mmdet.models.dense_heads import rtmdet_head
    from mmdet.models.task_modules.assigners import dynamic_soft_label_assigner

    class Doubled:
        float32 = float = torch.float64

        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

    rtmdet_head.torch = dynamic_soft_label_assigner.torch = Doubled()
    model.double()
    priors = model.bbox_head.prior_generator
    grid = priors.grid_priors
    priors.grid_priors = lambda sizes, dtype=None, device="cpu", with_stride=False: grid(
        sizes, dtype=torch.float64, device=device, with_stride=with_stride)
    prepare = model.data_preprocessor.forward

    def forward(data: Any, training: bool = False) -> Any:
        batch = prepare(data, training)
        batch["inputs"] = batch["inputs"].double()
        for sample in batch["data_samples"]:
            boxes = sample.gt_instances.bboxes
            sample.gt_instances.bboxes = getattr(boxes, "tensor", boxes).double()
        return batch

    model.data_preprocessor.forward = forward


if __name__ == "__main__":
    main()
