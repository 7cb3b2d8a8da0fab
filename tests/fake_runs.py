"""Run folders of a few lines, as runs leave them that have finished, stopped, paused, failed, or belong to a search."""

from __future__ import annotations

import json

import yaml

STOP = "stopped by a signal"
SEARCH = "sightsmith train tuner=pbt trainer.resume=a-sweep"


def fake_run(folder, created, status, *, name="c", rate=0.1, scores=((0.5, 0.9),), **more) -> None:
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({
        "status": status, "created": f"2026-01-0{created}T00:00:00+00:00", "progress": 0.5, "score": scores[-1][0],
        "message": more.pop("message", ""), "host": None, **more}))
    (folder / "plan.json").write_text(json.dumps({"name": name, "task": "classification", "network": "resnet18"}))
    (folder / "data.json").write_text(json.dumps({"root": "photos"}))
    (folder / "overrides.yaml").write_text(yaml.safe_dump(["task=classification", f"name={name}", "trainer.resume=x"]))
    (folder / "config.yaml").write_text(yaml.safe_dump({"name": name, "hyper": {"learning_rate": rate, "epochs": 5}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(
        {"epoch": epoch, "train_loss": 1.0, "seconds": 1.0, "learning_rate": rate, "loss": loss, "accuracy": score,
         "recall/a": 0.5}) + "\n" for epoch, (score, loss) in enumerate(scores, 1)))


def fake_runs(folder) -> None:
    """Of each kind one, the newest first: finished, stopped, failed, paused, and a search of a stopped and a paused
    trial."""
    fake_run(folder / "b-finished", 9, "finished", name="</script><b>", rate=0.01, scores=((0.75, 0.2), (0.7, 0.1)))
    fake_run(folder / "c-stopped", 8, "stopped", message=STOP)
    fake_run(folder / "d-failed", 7, "error", message="RuntimeError: <i>")
    fake_run(folder / "e-paused", 6, "stopped", paused=True)
    fake_run(folder / "a-sweep" / "1", 5, "stopped", message=STOP)
    fake_run(folder / "a-sweep" / "0", 4, "stopped", paused=True)
    (folder / "a-sweep" / "sweep.json").write_text(json.dumps({"continuation": SEARCH}))
