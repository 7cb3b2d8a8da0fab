"""Every file of a run, damaged in every way: one sentence that names it and says what to do, and never a trace."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from broken_datasets import picture
from command_line import refused, within
from small_runs import LABELS

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.core.util.reading import LARGEST
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.model_card import read_card
from sightsmith.engine.pipeline.verify import check_run
from sightsmith.engine.runs.checkpoint import load_tree, save_tree
from sightsmith.engine.runs.lockfile import read_lock
from sightsmith.engine.runs.resume import find_run
from sightsmith.engine.runs.run_dir import RunDir, read_status
from sightsmith.engine.runs.run_files import read_config, read_overrides, read_plan

BYTES = {
    "cut": b'{"status": "fini', "empty": b"", "a list": b"[]", "none": b"null", "a number": b"3", "text": b'"text"',
    "of numbers": b"[1, 2]", "not UTF-8": b"\xff\xfe{}", "zeros": bytes(100), "deep": b"[" * 100_000,
    "a doubled key": b'{"task": "a",\n"task": "b"}', "a long number": b'{"epoch": 1' + b"0" * 5000 + b"}"}


def replaced(path):
    path.unlink()
    return path


PLACES = {
    "a folder": lambda path: replaced(path).mkdir(), "a pipe": lambda path: os.mkfifo(replaced(path)),
    "a loop": lambda path: replaced(path).symlink_to(path.name), "missing": lambda path: replaced(path),
    "a dead link": lambda path: replaced(path).symlink_to("nothing"),
    "too large": lambda path: os.truncate(path, LARGEST + 1)}
DAMAGES = {**{name: lambda path, data=data: path.write_bytes(data) for name, data in BYTES.items()}, **PLACES}

READERS = {
    "config.yaml": read_config, "overrides.yaml": read_overrides, "plan.json": read_plan,
    "lock.json": lambda run: read_lock(run.lock), "model/model.json": lambda run: read_card(run.path),
    "model/model.safetensors": lambda run: load_tree(run.model / "model.safetensors"),
    "checkpoints/last/state.safetensors": lambda run: load_tree(run.last)}


@pytest.fixture
def run(digits, tmp_path):
    """A finished run of its own."""
    return RunDir(shutil.copytree(digits.run_dir, tmp_path / "runs" / "damaged"))


@pytest.mark.parametrize("file", READERS)
def test_readers_name_the_file(run, file):
    path, read = run.path / file, READERS[file]
    read(run)
    data = path.read_bytes()
    for name, damage in DAMAGES.items():
        if (file, name) == ("overrides.yaml", "a list"):
            continue  # nothing was typed
        damage(path)
        with pytest.raises(UserError) as caught:
            read(run)
        if (file, name) != ("model/model.json", "missing"):
            assert str(path) in caught.value.message, name
        assert "\n" not in caught.value.message, name
        assert caught.value.hint, name
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(data)
    read(run)


CHANGES = [
    (read_plan, "plan.json", {"precision": 3}, "precision is a number"),
    (read_plan, "plan.json", {"precision": "fp8"}, "precision is 'fp8'"),
    (read_plan, "plan.json", {"micro_batch": "all"}, "micro_batch is text"),
    (read_plan, "plan.json", {"micro_batch": True}, "micro_batch is true or false"),
    (read_plan, "plan.json", {"micro_batch": 0}, "micro_batch is 0"),
    (READERS["lock.json"], "lock.json", {"packages": []}, "packages is a list"),
    (READERS["model/model.json"], "model/model.json", {"task": ["a"]}, "task is a list"),
    (READERS["model/model.json"], "model/model.json", {"classes": [1, 2]}, "classes is not a list of names"),
    (READERS["model/model.json"], "model/model.json", {"metrics": {"a": "b"}}, "metrics has a value that is not"),
    (READERS["model/model.json"], "model/model.json", {"members": "two"}, "members is text"),
    (READERS["model/model.json"], "model/model.json", {"network": "${oc.env:HOME}"}, "an interpolation"),
    (READERS["model/model.json"], "model/model.json", {"format": "1"}, "does not have format 1"),
]


@pytest.mark.parametrize(("read", "file", "change", "says"), CHANGES)
def test_values_of_another_kind(run, read, file, change, says):
    path = run.path / file
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=says):
        read(run)


def test_any_flipped_byte_of_a_checkpoint_is_noticed(run):
    path = run.last
    whole = path.read_bytes()
    places = {*range(0, 400, 17), *range(400, len(whole), len(whole) // 20), len(whole) - 1}
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(UserError, match="damaged"):
            load_tree(path)
    path.write_bytes(whole)
    load_tree(path)


@pytest.mark.parametrize("arguments", [
    ["evaluate"], ["predict", "input=x"], ["export", "format=onnx"], ["serve"], ["preset", "create", "name=a"],
    ["verify", "rerun=true"]], ids=lambda arguments: arguments[0])
def test_commands_refuse_a_damaged_card(run, arguments):
    path = run.path / "model" / "model.json"
    for damage in ("cut", "a folder"):
        DAMAGES[damage](path)
        assert f"{path} " in refused(*arguments, f"run={run.path}"), damage


def test_a_damaged_run_as_base_run(run):
    DAMAGES["cut"](run.path / "model" / "model.json")
    assert "model.json is damaged" in refused("inspect", f"base_run={run.path}", "dataset.root=x")


def test_a_network_that_the_weights_do_not_fit(run, tmp_path):
    path = run.path / "model" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": ["a", "b"]}))
    assert "does not fit the network" in refused("predict", f"run={run.path}", f"input={picture(tmp_path / 'a.png')}")


def test_verification_says_what_it_cannot_read(run, plugins):
    for file in ("config.yaml", "model/model.safetensors"):
        DAMAGES["cut"](run.path / file)
    found = {item.part: item for item in check_run(run.path, lambda line: None, plugins)}
    assert {found[part].state for part in ("data", "config", "bundle")} == {"cannot be checked"}
    assert "config.yaml is damaged" in found["config"].text
    for file in ("lock.json", "status.json"):
        DAMAGES["cut"](run.path / file)
        assert file.partition(".")[0] in refused("verify", f"run={run.path}")


@pytest.mark.parametrize("file", ["status.json", "plan.json", "data.json", "metrics.jsonl", "config.yaml"])
def test_a_broken_run_breaks_no_list(run, file, digits):
    runs = run.path.parent
    shutil.copytree(digits.run_dir, runs / "intact", ignore=shutil.ignore_patterns("*.safetensors", "report"))
    for name, damage in DAMAGES.items():
        broken = runs / name
        shutil.copytree(runs / "intact", broken)
        damage(broken / file)
    shutil.rmtree(run.path)
    code, output, errors = within("list", "runs", "--output-dir", runs)
    assert code == 0, errors
    assert "Traceback" not in errors
    assert "intact" in output.replace("\n", "")
    assert (runs / "index.html").is_file()
    if file == "metrics.jsonl":
        assert output.count("warning: ") == len(DAMAGES) - 2  # empty and missing


@pytest.fixture(scope="module")
def paused(tmp_path_factory):
    """A run that was paused after the first of two epochs, and what it was started with."""
    folder = tmp_path_factory.mktemp("paused")
    train = ["train", *LABELS, "dataset.limit=40"]
    code, _, errors = within(*train, f"output_dir={folder}", "trainer.pause_after_epoch=1")
    assert code == 0, errors
    [found] = folder.iterdir()
    return found, train


@pytest.mark.parametrize(("file", "damage", "says"), [
    ("plan.json", DAMAGES["cut"], "plan.json is damaged: line 1: not JSON"),
    ("config.yaml", DAMAGES["a list"], "config.yaml is damaged: it is a list, not a mapping"),
    ("lock.json", DAMAGES["missing"], "lock.json is missing"),
    ("checkpoints/last/state.safetensors", DAMAGES["cut"], "state.safetensors is damaged"),
    ("checkpoints/best/model.safetensors", DAMAGES["missing"], "model.safetensors is damaged or not a"),
    ("checkpoints/last/state.safetensors", lambda path: save_tree(path, {"state": {"micro_batch": 1}}),
     "state.safetensors does not fit this run"),
])
def test_a_damaged_run_is_not_resumed(paused, tmp_path, file, damage, says):
    run, train = paused
    copy = shutil.copytree(run, tmp_path / "copy")
    damage(copy / file)
    assert says in refused(*train, f"trainer.resume={copy}")


def test_a_run_resumes_without_its_metrics_and_says_so(paused, tmp_path):
    run, train = paused
    copy = RunDir(shutil.copytree(run, tmp_path / "copy"))
    DAMAGES["a list"](copy.metrics)
    code, output, errors = within(*train, f"trainer.resume={copy.path}")
    assert code == 0, errors
    for warning in (f"{copy.metrics} is damaged: line 1 is not the metrics of an epoch",
                    f"{copy.metrics} has lost the metrics of 1 of 1 epoch"):
        assert f"warning: {warning}" in output
        assert warning in " ".join(read_status(copy)["warnings"])
    assert [entry["epoch"] for entry in copy.read_metrics(pytest.fail)] == [2]


def test_another_damaged_run_is_no_hindrance(paused, tmp_path):
    run, train = paused
    shutil.copytree(run, tmp_path / "2000-good")
    broken = shutil.copytree(run, tmp_path / "3000-newer")
    DAMAGES["cut"](broken / "config.yaml")
    config = compose([*train[1:], f"output_dir={tmp_path}", "trainer.resume=true"], load_plugins())
    assert find_run(config).path == tmp_path / "2000-good"
    shutil.rmtree(tmp_path / "2000-good")
    with pytest.raises(UserError, match=r"3000-newer/config.yaml is damaged") as caught:
        find_run(config)
    assert "no run named 'classification'" in caught.value.message


def test_a_line_of_the_metrics(run):
    lines = run.metrics.read_text().splitlines()
    for line in ('{"epoch": 1}', '{"epoch": "1"}', "[]", "null", lines[1][:-1], lines[1].replace(": ", ": []", 1)):
        run.metrics.write_text(f"{lines[0]}\n{line}\n")
        said = []
        assert len(run.read_metrics(said.append)) == 1
        assert said == [f"{run.metrics} is damaged: line 2 is not the metrics of an epoch"]


@pytest.mark.parametrize("change", [{"progress": "half"}, {"created": 3}, {"message": []}, {"paused": "yes"}])
def test_a_status_of_another_kind(run, change):
    run.status.write_text(json.dumps(json.loads(run.status.read_text()) | change))
    assert read_status(run)["status"] == "error"
