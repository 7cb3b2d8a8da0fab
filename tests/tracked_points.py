"""What the metric loggers keep, read back with the packages' own readers."""

from __future__ import annotations

import csv
from collections import defaultdict

from wandb_files import history, runs_of

READERS = {}


def reader(function):
    READERS[function.__name__] = function
    return function


def points(logger, run):
    """``{metric: [(step, value), ...]}``, in the order in which they were logged; ``epoch`` is left out."""
    found = defaultdict(list)
    for name, step, value in READERS[logger](run):
        found[name].append((step, value))
    return dict(found)


@reader
def tensorboard(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    for name in events.Tags()["scalars"]:
        if "/" in name:
            yield from ((name, event.step, event.value) for event in events.Scalars(name))


@reader
def csv_(run):
    for path in (run / "csv").glob("*.csv"):
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                step = int(row.pop("step"))
                assert float(row.pop("epoch")) > 0
                yield from ((f"{path.stem}/{name}", step, float(value)) for name, value in row.items() if value)


READERS["csv"] = READERS.pop("csv_")


def mlflow_client(run):
    from mlflow import MlflowClient

    home = next(path for path in run.parents if (path / "mlflow.db").is_file())
    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


def mlflow_runs(run):
    client = mlflow_client(run)
    return client.search_runs([client.get_experiment_by_name("sightsmith").experiment_id])


@reader
def mlflow(run):
    client = mlflow_client(run)
    [tracked] = [item for item in mlflow_runs(run) if item.data.tags["sightsmith.run"] == str(run)]
    for name in tracked.data.metrics:
        if name.startswith(("train/", "validation/")):
            yield from ((name, point.step, point.value)
                        for point in client.get_metric_history(tracked.info.run_id, name))


@reader
def wandb(run):
    for session in runs_of(run):
        for row in history(session):
            yield from ((name, row["_step"], value) for name, value in row.items()
                        if name.startswith(("train/", "validation/")))
