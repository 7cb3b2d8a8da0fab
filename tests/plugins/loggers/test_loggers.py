"""Metric loggers against the real packages, offline: what is read back is what the run logged."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import wandb
import yaml
from command_line import within
from processes import CHECKPOINT, start, succeed, whole_and_cut
from small_runs import LABELS
from tracked_points import mlflow_runs, points
from wandb_files import runs_of, values

import sightsmith
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.start import start as start_run
from sightsmith.plugins.loggers import mlflow as mlflow_logger
from sightsmith.testing import PluginConformance

NAMES = ("tensorboard", "csv", "mlflow", "wandb")
ALL = [f"logger=[{','.join(NAMES)}]", "logger.wandb.offline=true"]
STEPS = 4
"""Optimizer steps per epoch of :data:`LABELS`."""


@pytest.fixture(autouse=True, scope="module")
def _services_end():
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    wandb.teardown()


def contents(folder: Path) -> dict[str, bytes]:
    """The files below ``folder``, by their path relative to it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    """An empty database of MLflow's, to copy: making one takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory, database, plugins) -> Path:
    """The folder of a run with all loggers, paused after its first epoch and resumed."""
    folder = tmp_path_factory.mktemp("logged")
    shutil.copy(database, folder)
    overrides = [*LABELS[:-1], *ALL, f"output_dir={folder}"]
    first = [*overrides, "trainer.pause_after_epoch=1"]
    assert start_run(compose(first, plugins), first, plugins) is None
    paused = {item.info.status for item in mlflow_runs(folder / "run")}
    assert paused == {"KILLED"}
    result = sightsmith.train([*overrides, "trainer.resume=true"])
    warnings = json.loads((result.run_dir / "status.json").read_text())["warnings"]
    assert all("that anything was learnt" in warning for warning in warnings)  # two epochs are too few
    return result.run_dir


@pytest.mark.parametrize("name", NAMES)
def test_every_epoch_is_logged_once_as_metrics_jsonl_has_it(run, name):
    found = points(name, run)
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(entries) == 2
    expected = {f"validation/{key}": [(STEPS * entry["epoch"], entry[key]) for entry in entries]
                for key, value in entries[0].items() if isinstance(value, float)}
    assert expected.keys() == {key for key in found if key.startswith("validation/")}
    exact = 1e-6 if name == "tensorboard" else 0  # which has single precision
    for key, entry in expected.items():
        assert found[key] == [(step, pytest.approx(value, rel=exact, abs=0)) for step, value in entry], key
    steps = [step for step, _ in found["train/loss"]]
    assert steps == list(range(1, 2 * STEPS + 1))


def test_all_loggers_have_the_same_training_points(run):
    first, *others = (points(name, run) for name in NAMES[1:])
    assert all(first == other for other in others)


def test_mlflow_has_configuration_metrics_report_and_state(run):
    [tracked] = mlflow_runs(run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert tracked.data.params["hyper.learning_rate"] == "0.001"
    assert tracked.data.params["logger.wandb.offline"] == "True"
    assert set(tracked.data.params) >= {f"hyper.{key}" for key in config["hyper"]}
    assert tracked.info.run_name == run.name
    assert tracked.info.status == "FINISHED"
    card = json.loads((run / "model" / "model.json").read_text())
    assert tracked.data.metrics["final/accuracy"] == card["metrics"]["accuracy"]
    assert tracked.data.metrics["epoch"] == 2
    stored = Path(tracked.info.artifact_uri.removeprefix("file://"))
    assert stored.is_relative_to(run.parent / "mlartifacts")
    assert (stored / "config.yaml").read_bytes() == (run / "config.yaml").read_bytes()
    assert contents(stored / "report") == contents(run / "report")


def test_wandb_has_configuration_metrics_report_and_state(run):
    sessions = runs_of(run)
    assert len(sessions) == 2
    begun = [record.run for session in sessions for record in session if record.HasField("run")]
    assert len({item.run_id for item in begun}) == 1
    assert {item.project for item in begun} == {"sightsmith"}
    assert {item.display_name for item in begun} == {run.name}
    config = values(begun[0].config.update)
    assert config["hyper"]["learning_rate"] == 0.001
    assert config["network"]["name"] == "shufflenet_v2_x0_5"
    summary = {}
    for record in sessions[1]:
        if record.HasField("summary"):
            summary |= values(record.summary.update)
    card = json.loads((run / "model" / "model.json").read_text())
    assert summary["final/accuracy"] == card["metrics"]["accuracy"]
    assert summary["status"] == "finished"
    [artifact] = [record.artifact for record in sessions[1] if record.HasField("artifact")]
    assert artifact.type == "report"
    files = {item.path: item for item in artifact.manifest.contents}
    assert files.keys() == contents(run / "report").keys()
    media = {path.name.split("_")[0] for path in run.glob("wandb/offline-run-*/files/media/images/report/*.png")}
    assert media == {path.stem for path in (run / "report").glob("*.png")}
    [page] = run.glob("wandb/offline-run-*/files/media/html/report/*.html")
    assert page.read_text() == (run / "report" / "index.html").read_text()
    # Nothing about the machine, the command or the code.
    assert not list(run.glob("wandb/offline-run-*/files/*.txt")) + list(run.glob("wandb/offline-run-*/files/*.json"))
    assert not any(record.HasField("stats") or record.HasField("output_raw") for record in sum(sessions, []))


def test_tensorboard_has_the_configuration_and_the_plots(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) == {f"report/{path.stem}" for path in (run / "report").glob("*.png")}
    [text] = events.Tensors("config/text_summary")
    assert b"learning_rate: 0.001" in text.tensor_proto.string_val[0]


def made(plugins, name, folder):
    record = plugins.logger(name)
    return record.make(folder, {**record.options, **({"offline": True} if name == "wandb" else {})})


@pytest.mark.parametrize("name", NAMES)
def test_what_was_logged_beyond_the_checkpoint_is_not_repeated(plugins, tmp_path, monkeypatch, database, name):
    monkeypatch.setattr(mlflow_logger, "FLUSH_SECONDS", 0.0)
    shutil.copy(database, tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("name: a\n")
    config = {"output_dir": str(tmp_path)}

    def log(logger, steps):
        for step in steps:
            logger.log(step, {"train/loss": step / 7, "epoch": step / 4})
            if step % 4 == 0:
                logger.log(step, {"validation/loss": step / 3, "epoch": step / 4})

    killed = made(plugins, name, run)
    killed.start(config, 0, None)
    log(killed, range(1, 7))
    if name == "csv":
        with (run / "csv" / "train.csv").open("a") as stream:
            stream.write("7,1.7")  # the kill came in the middle of a row
    if name == "tensorboard":
        killed._writer.flush()
    if name == "wandb":
        killed._run.finish()
    resumed = made(plugins, name, run)
    resumed.start(config, 4, None)
    log(resumed, range(5, 9))
    resumed.close("finished")
    found = {key: [(step, round(value, 5)) for step, value in entries] for key, entries in points(name, run).items()}
    assert found == {"train/loss": [(step, round(step / 7, 5)) for step in range(1, 9)],
                     "validation/loss": [(step, round(step / 3, 5)) for step in (4, 8)]}


def test_a_metric_that_comes_later_gets_a_column(plugins, tmp_path):
    logger = made(plugins, "csv", tmp_path)
    logger.start({}, 0, None)
    logger.log(4, {"validation/loss": 0.1, "epoch": 1.0})
    logger.log(8, {"validation/loss": 1e-9, "validation/auc/a,b": 1 / 3, "epoch": 2.0})
    assert (tmp_path / "csv" / "validation.csv").read_text() == (
        'step,epoch,loss,"auc/a,b"\n4,1.0,0.1,\n8,2.0,1e-09,0.3333333333333333\n')


def test_a_run_that_moves_to_another_project_is_a_new_one_there(plugins, tmp_path):
    record = plugins.logger("wandb")
    for project in ("one", "one", "two"):
        logger = record.make(tmp_path, {**record.options, "offline": True, "project": project})
        logger.start({}, 0, None)
        logger.log(1, {"train/loss": 0.5, "epoch": 1.0})
        logger.close("stopped")
    begun = [record.run for session in runs_of(tmp_path) for record in session if record.HasField("run")]
    assert len({item.run_id for item in begun}) == 2


@pytest.mark.slow
def test_a_killed_run_goes_on_in_the_same_tracker_run(tmp_path):
    train = [*LABELS[:-1], *ALL, "trainer.checkpoint_minutes=0.001"]
    whole, cut = whole_and_cut(tmp_path, *train, written=CHECKPOINT)
    succeed(start(cut, *train, "trainer.resume=true"))
    [one], [two] = (list(folder.glob("*-classification")) for folder in (whole, cut))
    for name in NAMES:
        first, second = (points(name, folder) for folder in (one, two))
        for key in first.keys() - {"validation/seconds"}:
            steps = [step for step, _ in second[key]]
            assert len(steps) == len(set(steps)), (name, key)
            assert set(second[key]) <= set(first[key]), (name, key)
            # The last second before the kill may be lost, but for files that are written at once.
            lost = {step for step, _ in first[key]} - set(steps)
            assert not lost or name in ("mlflow", "wandb", "tensorboard") and max(lost) < STEPS, (name, key)


@pytest.mark.slow
def test_trials_of_a_search_are_runs_of_a_group(tmp_path):
    succeed(start(tmp_path, "--multirun", *LABELS[:-1], *ALL, "dataset.limit=40", "hyper.epochs=1",
                  "hyper.learning_rate=0.1,0.01"))
    [sweep] = tmp_path.glob("*-sweep")
    tracked = mlflow_runs(sweep / "0")
    assert {item.data.tags["sightsmith.search"] for item in tracked} == {sweep.name}
    assert {item.info.run_name: item.data.params["hyper.learning_rate"] for item in tracked} == {
        f"{sweep.name}/0": "0.1", f"{sweep.name}/1": "0.01"}
    for number in "01":
        [session] = runs_of(sweep / number)
        [begun] = [record.run for record in session if record.HasField("run")]
        assert (begun.run_group, begun.display_name) == (sweep.name, f"{sweep.name}/{number}")


@pytest.mark.slow
def test_a_server_that_is_not_there_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = sightsmith.train([*LABELS[:-1], "dataset.limit=40", "hyper.epochs=1", "logger=[mlflow,csv]",
                               "logger.mlflow.tracking_uri=http://127.0.0.1:9", f"output_dir={tmp_path}"])
    status = json.loads((result.run_dir / "status.json").read_text())
    assert status["status"] == "finished"
    assert "the logger mlflow failed, and logs no more of this run: " in status["warnings"][0]
    assert not any("the logger csv" in warning for warning in status["warnings"])
    assert len(points("csv", result.run_dir)["train/loss"]) == 1


@pytest.mark.parametrize(("typed", "says"), [
    (["logger=wandb", "logger.wandb.projct=x"], "logger.wandb.projct=x does not fit. Did you mean 'project'?"),
    (["logger=wandb", "+logger.wandb.projct=x"], "logger.wandb.projct=x does not fit. Did you mean 'project'?"),
    (["logger=wandb", "logger.wandb.offline=1"], "logger.wandb.offline=1 does not fit"),
    (["logger.wandb.offline=true"], "type logger=wandb"),
    (["logger.wandbb.offline=true"], "Did you mean 'wandb'?"),
    (["logger=wandbb"], "Did you mean 'wandb'?"),
])
def test_mistakes_are_answered(plugins, typed, says):
    with pytest.raises(UserError) as error:
        compose([*LABELS[:-1], *typed], plugins)
    assert says in error.value.text()


def test_a_missing_package_is_named_before_anything_is_read(plugins, monkeypatch):
    monkeypatch.setattr("sightsmith.engine.config.overrides.find_spec", lambda name: None)
    with pytest.raises(UserError) as error:
        compose([*LABELS[:-1], "logger=[wandb,mlflow]"], plugins)
    text = error.value.text()
    assert "logger=wandb needs wandb: not installed" in text and "pip install 'sightsmith[wandb]'" in text
    assert "logger=mlflow needs mlflow: not installed" in text and "pip install 'sightsmith[mlflow]'" in text


def test_the_list_says_how_to_install_them():
    code, output, _ = within("list", "loggers")
    assert code == 0
    assert "pip install 'sightsmith[wandb]'" in output and "offline=False" in output


def test_without_a_login_the_way_out_is_named(plugins, tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.netrc
    record = plugins.logger("wandb")
    with pytest.raises(UserError) as error:
        record.make(tmp_path, dict(record.options)).start({}, 0, None)
    assert "logger.wandb.offline=true" in error.value.text()


def test_they_conform(tmp_path, monkeypatch, database):
    shutil.copy(database, tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # it has read the environment already

    class Suite(PluginConformance):
        distribution = "sightsmith"

    Suite().test_loggers_write_and_close(tmp_path)
