"""Metrics and plots as TensorBoard event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightsmith.plugin import MetricLogger


class TensorBoardLogger(MetricLogger):
    """Event files in ``<run>/tensorboard``: ``tensorboard --logdir runs``."""

    def start(self, config: Mapping[str, Any], step: int, group: str | None) -> None:
        import yaml
        from torch.utils.tensorboard import SummaryWriter

        self._step = step
        # TensorBoard hides what an earlier, killed process wrote from `purge_step` on.
        self._writer = SummaryWriter(str(self.run_dir / "tensorboard"), purge_step=step + 1 if step else None)
        if step == 0:
            text = yaml.safe_dump(dict(config), sort_keys=False)
            self._writer.add_text("config", "".join(f"    {line}\n" for line in text.splitlines()), 0)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._step = step
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, metrics: Mapping[str, float | None], report: Path) -> None:
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        for path in sorted(report.glob("*.png")):
            with Image.open(path) as image:
                width, height = image.size
            # `add_image` would decode the file and encode it once more.
            plot = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes())
            self._writer.file_writer.add_summary(  # type: ignore[attr-defined]  # set by its constructor
                Summary(value=[Summary.Value(tag=f"report/{path.stem}", image=plot)]), self._step)

    def close(self, status: str) -> None:
        self._writer.close()
