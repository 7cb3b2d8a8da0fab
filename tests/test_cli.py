"""The command line as a person meets it: output, exit codes, no traceback for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SMALL = ["task=classification", "network=mobilenet_v3_small", "network.weights=none", "image.size=32",
         "hyper.epochs=2", "hyper.optimizer=adamw", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "dataset.limit=60"]


def sightsmith(*arguments, cwd=None):
    return subprocess.run([sys.executable, "-m", "sightsmith", *arguments], capture_output=True, text=True, cwd=cwd,
                          check=False, stdin=subprocess.DEVNULL)


def test_help_and_version():
    assert "sightsmith train" in sightsmith("--help").stdout
    assert sightsmith("--version").stdout.startswith("sightsmith ")
    for verb in ("inspect", "verify", "list", "doctor"):
        assert "example:" in sightsmith(verb, "--help").stdout
    text = sightsmith("train", "--help").stdout
    assert "hyper.learning_rate [0.001]  1e-06 to 1" in text
    assert "hyper.optimizer [sgd]  sgd|adam|adamw" in text


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], "sightsmith train"),
    (["trian"], "Did you mean 'train'"),
    (["list", "network"], "invalid choice"),
    (["list", "networks", "--task", "clasification"], "Did you mean 'classification'"),
    (["train"], "hyper.learning_rate"),
    (["train", "dataset.root=sample"], "no task is chosen"),
    (["train", "task=classification"], "dataset.root=FOLDER"),
    (["train", "task=classification", "dataset.root=sample", "hyper.lr=1"], "Did you mean 'hyper.learning_rate'"),
    (["train", "task=classification", "dataset.root=sample", "hyper.epochs=0"], "out of range"),
    (["train", "task=classification", "dataset.root=/no/such/folder"], "/no/such/folder"),
    (["train", *SMALL, "dataset.root=sample", "trainer.resume=nowhere"], "not a run folder"),
    (["inspect", "task=classification", "dataset.root=/no/such/folder"], "/no/such/folder"),
    (["inspect", "task=classification", "dataset.root=sample", "--html", f"{__file__}/page"], "test_cli.py is a file"),
    (["train", *SMALL, "dataset.root=sample", f"output_dir={__file__}"], "test_cli.py is a file"),
    (["train", *SMALL, "dataset.root=sample", f"output_dir={__file__}", "tuner=random"], "test_cli.py is a file"),
])
def test_mistakes_end_with_2_and_no_traceback(arguments, expected, tmp_path):
    done = sightsmith(*arguments, cwd=tmp_path)
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert expected in text
    assert "Traceback" not in text
    assert "Error executing job" not in text


def test_lists_are_complete(tmp_path):
    networks = json.loads(sightsmith("list", "networks", "--json").stdout)
    assert len(networks) >= 80
    assert all(row["provider"] for row in networks)
    tasks = [row["name"] for row in json.loads(sightsmith("list", "tasks", "--json").stdout)]
    assert tasks == ["classification", "detection", "segmentation"]
    formats = {row["name"] for row in json.loads(sightsmith("list", "datasets", "--json").stdout)}
    assert formats == {"class_folders", "train_val_folders", "label_csv", "labelme", "coco", "voc", "voc_masks", "yolo",
                       "mask_folders"}
    assert "No runs" in sightsmith("list", "runs", cwd=tmp_path).stdout


def test_doctor_says_what_is_there():
    found = json.loads(sightsmith("doctor", "--json").stdout)
    topics = {item["topic"] for item in found}
    assert {"python", "packages", "torch", "plugins", "disk", "DICOM"} <= topics
    assert "sightsmith" in next(item["text"] for item in found if item["topic"] == "packages")


def test_inspect_as_text_and_json():
    text = sightsmith("inspect", "task=classification", "dataset.root=sample").stdout
    assert "class_folders" in text
    summary = json.loads(sightsmith("inspect", "task=classification", "dataset.root=sample", "--json").stdout)
    assert summary["format"] == "class_folders"
    assert summary["problems"] == []
    assert sum(entry["train"] + entry["validation"] for entry in summary["classes"].values()) == 1797


def test_a_dry_run_plans_and_leaves_nothing(tmp_path):
    done = sightsmith("train", *SMALL, "dataset.root=sample", "trainer.dry_run=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "estimated time" in done.stdout
    assert not list(tmp_path.iterdir())


def test_train_then_everything_of_the_run_is_there(tmp_path):
    done = sightsmith("train", *SMALL, "dataset.root=sample", "name=first try", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [run] = (tmp_path / "runs").iterdir()
    assert run.name.endswith("-first-try")
    assert str(run / "report" / "index.html") in done.stdout.replace("\n", "")
    for name in ("config.yaml", "overrides.yaml", "plan.json", "lock.json", "status.json", "metrics.jsonl", "train.log",
                 "checkpoints/last/state.safetensors", "checkpoints/best/model.safetensors", "model/model.json",
                 "model/model.safetensors", "report/index.html", "report/training.csv", "report/training.png"):
        assert (run / name).is_file(), name
    assert any((run / "tensorboard").iterdir())
    status = json.loads((run / "status.json").read_text())
    assert status["status"] == "finished"
    assert status["progress"] == 1.0
    assert status["device_hours"] > 0
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [1, 2]
    assert "<script" not in (run / "report" / "index.html").read_text()
    [row] = json.loads(sightsmith("list", "runs", "--json", cwd=tmp_path).stdout)
    assert row["name"] == "first try"
    assert row["status"] == "finished"
    again = sightsmith("train", *SMALL, "dataset.root=sample", f"trainer.resume={run}", cwd=tmp_path)
    assert again.returncode == 2
    assert "is finished" in again.stderr


def test_a_training_and_a_preset_as_json(tmp_path):
    done = sightsmith("train", *SMALL, "dataset.root=sample", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    [run] = (tmp_path / "runs").iterdir()
    assert (said["run"], said["report"]) == (str(run), str(run / "report" / "index.html"))
    assert said["metrics"] == json.loads((run / "model" / "model.json").read_text())["metrics"]
    assert said["metrics"][said["score"]] is not None
    assert "epoch 1/2" in done.stderr
    preset = sightsmith("preset", "create", f"run={run}", "name=mine", "--json", cwd=tmp_path)
    assert json.loads(preset.stdout) == {"preset": "presets/mine.yaml"}
    assert (tmp_path / "presets" / "mine.yaml").is_file()
    for arguments, says in ((["hyper.epochs=0"], "hyper.epochs"), (["-m", "hyper.epochs=1,2"], "not with -m")):
        refused = sightsmith("train", *SMALL, "dataset.root=sample", "--json", *arguments, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert says in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_sweep_runs_each_choice(tmp_path):
    done = sightsmith("train", *SMALL, "dataset.root=sample", "hyper.epochs=1", "logger=[]", "--multirun",
                      "hyper.learning_rate=0.001,0.002", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "runs").glob("*/*/status.json"))
    assert [path.parent.name for path in runs] == ["0", "1"]
    assert all(json.loads(path.read_text())["status"] == "finished" for path in runs)


def test_a_non_finite_loss_ends_with_1_and_advice(tmp_path):
    done = sightsmith("train", *SMALL, "dataset.root=sample", "hyper.optimizer=sgd", "hyper.learning_rate=1",
                      "hyper.epochs=30", "network=squeezenet1_1", "logger=[]", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "the loss is not finite at epoch" in done.stderr
    assert "Traceback" not in done.stderr
    [run] = (tmp_path / "runs").iterdir()
    assert json.loads((run / "status.json").read_text())["status"] == "error"
