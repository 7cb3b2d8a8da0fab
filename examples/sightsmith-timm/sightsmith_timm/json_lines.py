"""Metrics as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sightsmith.plugin import MetricLogger


class JsonLinesLogger(MetricLogger):
    """Appends ``{"step": 1, "train/loss": 0.5}`` to ``<run>/steps.jsonl``; the option ``file`` gives it another
    name. A resumed run continues the file from its last checkpoint."""

    def start(self, config: Mapping[str, Any], step: int, group: str | None) -> None:
        path = self.run_dir / self.options["file"]
        earlier = path.read_text().splitlines() if path.is_file() else []
        self._stream = path.open("w")
        self._stream.writelines(line + "\n" for line in earlier if json.loads(line)["step"] <= step)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._stream.write(json.dumps({"step": step, **metrics}) + "\n")

    def close(self, status: str) -> None:
        self._stream.close()
