"""The command line as a person meets it: output, exit codes, no traceback for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command_line import refused, within
from processes import command

from sightsmith.core.util.files import cache_dir
from sightsmith.engine.config.overrides import FAMILIAR, all_keys

SMALL = ["task=classification", "network=mobilenet_v3_small", "network.weights=none", "image.size=32",
         "hyper.epochs=2", "hyper.optimizer=adamw", "trainer.precision=fp32",
         "trainer.memory_format=contiguous", "dataset.limit=60"]


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def said(*arguments):
    """The output of a command that works."""
    code, output, errors = within(*arguments)
    assert code == 0, errors
    return output


def trained(*arguments):
    """Output and errors of ``sightsmith train`` that works, in a process of its own."""
    code, output, errors = command("train", *SMALL, "dataset.root=sample", *arguments)
    assert code == 0, errors
    return output, errors


def test_help_and_version():
    assert "sightsmith train" in said("--help")
    assert said("--version").startswith("sightsmith ")
    for verb in ("inspect", "verify", "list", "doctor"):
        assert "example:" in said(verb, "--help")
    text = said("train", "--help")
    assert "hyper.learning_rate [0.001]  1e-06 to 1" in text
    assert "hyper.optimizer [sgd]  sgd|adam|adamw" in text


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], "sightsmith train"),
    (["trian"], "Did you mean 'train'"),
    (["list", "network"], "Did you mean 'networks'?"),
    (["list", "networks", "--task", "clasification"], "Did you mean 'classification'"),
    (["train"], "type `sightsmith train dataset=FOLDER`"),
    (["list"], "what to list (networks, presets, formats"),
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
def test_mistakes_end_with_2(arguments, expected):
    assert expected in refused(*arguments)


def test_words_of_other_trainers_lead_on(tmp_path):
    said = refused("train", "--task", "detection", "--data", "photos", "--epochs=3", "--wanted")
    for advice in ("type task=detection", "type dataset=photos", "type hyper.epochs=3", "type wanted=VALUE"):
        assert advice in said
    (tmp_path / "photos").mkdir()
    said = refused("train", "photos", "task=detection", "--multirun", "now")
    assert "'photos' sets nothing\n      type dataset=photos" in said and "'now' sets nothing" in said
    said = refused("train", "task=detection", "dataset.root=x", "batch=4", "imgsz=640", "model=yolov8n")
    for key in ("hyper.batch_size", "image.size", "network"):
        assert f"Here it is called '{key}'" in said
    assert "'network'. Did you mean 'yolox_nano' or 'yolox_tiny' or 'yolox_s'?" in said
    said = refused("train", "data=photos", "lr=0.1")
    assert "Here it is called 'dataset'" in said and "task" not in said
    assert "Did you mean 'yolox_nano'" in refused("train", "task=detection", "dataset=sample", "network=yolov8n")


def test_words_of_other_trainers_mean_keys_that_there_are(plugins):
    known = {key for key, _, _ in all_keys(plugins)} | {"dataset", "network"}
    assert set(FAMILIAR.values()) <= known
    assert not FAMILIAR.keys() & known


def test_a_mistake_has_no_traceback(tmp_path):
    done = subprocess.run([sys.executable, "-m", "sightsmith", "train", *SMALL, "dataset.root=/no/such/folder"],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "/no/such/folder" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_lists_are_complete():
    networks = json.loads(said("list", "networks", "--json"))
    assert len(networks) >= 80
    assert all(row["provider"] for row in networks)
    tasks = [row["name"] for row in json.loads(said("list", "tasks", "--json"))]
    assert tasks == ["classification", "detection", "segmentation"]
    formats = {row["name"] for row in json.loads(said("list", "formats", "--json"))}
    assert formats == {"class_folders", "train_val_folders", "label_csv", "labelme", "coco", "voc", "voc_masks", "yolo",
                       "mask_folders", "case_folders", "cvat", "label_studio", "via", "createml", "datumaro",
                       "hf_image_folder", "parquet"}
    assert "No runs" in said("list", "runs")


def test_doctor_says_what_is_there():
    found = json.loads(said("doctor", "--json"))
    topics = {item["topic"] for item in found}
    assert {"python", "packages", "torch", "plugins", "disk", "DICOM"} <= topics
    assert "sightsmith" in next(item["text"] for item in found if item["topic"] == "packages")


def test_inspect_as_text_and_json():
    text = said("inspect", "task=classification", "dataset.root=sample", "dataset.limit=60")
    assert "class_folders" in text
    assert text.endswith("Next: sightsmith train task=classification dataset.root=sample dataset.limit=60\n")
    summary = json.loads(said("inspect", "task=classification", "dataset.root=sample", "--json"))
    assert summary["format"] == "class_folders"
    assert summary["problems"] == []
    assert sum(entry["train"] + entry["validation"] for entry in summary["classes"].values()) == 1797


@pytest.mark.slow
def test_a_dry_run_plans_and_leaves_nothing(tmp_path):
    output, _ = trained("trainer.dry_run=true")
    assert "estimated time" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_train_then_everything_of_the_run_is_there(tmp_path):
    output, _ = trained("name=first try")
    [run] = (tmp_path / "runs").iterdir()
    assert run.name.endswith("-first-try")
    assert str(run / "report" / "index.html") in output.replace("\n", "")
    for name in ("config.yaml", "overrides.yaml", "plan.json", "lock.json", "status.json", "metrics.jsonl", "train.log",
                 "checkpoints/last/state.safetensors", "checkpoints/best/model.safetensors", "model/model.json",
                 "model/model.safetensors", "report/index.html", "report/training.csv", "report/training-1.png"):
        assert (run / name).stat().st_size, name
    assert any((run / "tensorboard").iterdir())
    status = json.loads((run / "status.json").read_text())
    assert status["status"] == "finished"
    assert status["progress"] == 1.0
    assert status["device_hours"] > 0
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in entries] == [1, 2]
    assert "first try" in (run / "report" / "index.html").read_text()
    [row] = json.loads(said("list", "runs", "--json"))
    assert row["name"] == "first try"
    assert row["status"] == "finished"
    assert "is finished" in refused("train", *SMALL, "dataset.root=sample", f"trainer.resume={run}")
    assert f"Next: sightsmith predict run={run.name} input=FOLDER\n" in output
    photo = next((cache_dir() / "samples" / "classification").rglob("*.png"))
    for name in (run.name, "last", "first-try"):
        assert "1 image: " in said("predict", f"run={name}", f"input={photo}")


@pytest.mark.slow
def test_a_training_and_a_preset_as_json(tmp_path):
    output, errors = trained("--json")
    summary = json.loads(output)
    [run] = (tmp_path / "runs").iterdir()
    assert (summary["run"], summary["report"]) == (str(run), str(run / "report" / "index.html"))
    assert summary["metrics"] == json.loads((run / "model" / "model.json").read_text())["metrics"]
    assert summary["metrics"][summary["score"]] is not None
    assert "epoch 1/2" in errors
    assert json.loads(said("preset", "create", f"run={run}", "name=mine", "--json")) == {"preset": "presets/mine.yaml"}
    assert (tmp_path / "presets" / "mine.yaml").is_file()
    for arguments, says in ((["hyper.epochs=0"], "hyper.epochs"), (["-m", "hyper.epochs=1,2"],
                                                                   "cannot be combined with -m")):
        code, output, errors = within("train", *SMALL, "dataset.root=sample", "--json", *arguments)
        assert (code, output) == (2, "")
        assert says in errors


@pytest.mark.slow
def test_a_sweep_runs_each_choice(tmp_path):
    trained("hyper.epochs=1", "logger=[]", "--multirun", "hyper.learning_rate=0.001,0.002")
    runs = sorted((tmp_path / "runs").glob("*/*/status.json"))
    assert [path.parent.name for path in runs] == ["0", "1"]
    assert all(json.loads(path.read_text())["status"] == "finished" for path in runs)


@pytest.mark.slow
def test_a_non_finite_loss_ends_with_1_and_advice(tmp_path):
    code, output, errors = command(
        "train", *SMALL, "dataset.root=sample", "hyper.optimizer=sgd", "hyper.learning_rate=1", "hyper.epochs=30",
        "network=squeezenet1_1", "recipe=platform", "logger=[]")  # the default recipe clips gradients
    assert code == 1, output
    assert "the loss is not finite at epoch" in errors
    assert "Traceback" not in errors
    [run] = (tmp_path / "runs").iterdir()
    assert json.loads((run / "status.json").read_text())["status"] == "error"


def test_the_help_of_train_has_the_values_of_what_is_chosen():
    text = said("train", "task=detection", "--help")
    assert "network:  rtmdet_tiny" in text and "those of task=detection network=rtmdet_tiny" in text
    assert "  hyper.epochs (200)  from 1" in text  # of the recipe
    assert "  limits.batch_size [16]" in text  # of the task
    assert "task.label_smoothing" not in text  # of another one
    text = said("train", "--help", "preset=pneumothorax")
    assert "  image.size [320]  locked by the preset" in text and "  hyper.epochs [40]  from 1" in text
    text = said("train", "--help", "network=resnet18", "recipe=published")
    assert "task=classification network=resnet18" in text and "  hyper.epochs (90)" in text
    assert "Did you mean 'detection'" in refused("train", "--help", "task=detction")


def test_networks_are_listed_by_name_with_their_defaults_and_zoos_in_a_line():
    text = said("list", "networks")
    names, zoos = text.split("Model zoos:")
    assert names.count("(default)") == 3 and "rtmdet_tiny (default)" in names
    assert len(zoos.splitlines()) == 5 and "mmdet  detection: 823 configurations, 654 of them trainable; --all" in zoos
    text = said("list", "networks", "--task", "detection", "--all")
    assert "not trainable: it takes proposals in addition to the image" in text and "--all" not in text
    rows = json.loads(said("list", "networks", "--json"))
    assert {row["name"] for row in rows if row.get("default")} == {"mobilenet_v3_large", "rtmdet_tiny", "segnext_t"}
