"""Registers the metric loggers."""

from __future__ import annotations

from sightsmith.plugin import LoggerRecord, hookimpl


@hookimpl
def sightsmith_loggers() -> list[LoggerRecord]:
    return [
        LoggerRecord(name="tensorboard", description="event files in <run>/tensorboard",
                     builder="sightsmith.plugins.loggers.tensorboard:TensorBoardLogger"),
        LoggerRecord(name="csv", description="<run>/csv/train.csv and validation.csv, a row for each step or epoch",
                     builder="sightsmith.plugins.loggers.csv_files:CsvLogger"),
        LoggerRecord(name="mlflow", description="an MLflow run: a server, a database, or <output_dir>/mlflow.db",
                     builder="sightsmith.plugins.loggers.mlflow:MlflowLogger",
                     options={"tracking_uri": None, "experiment": "sightsmith"}, needs=("mlflow",),
                     install="pip install 'sightsmith[mlflow]'"),
        LoggerRecord(name="wandb", description="a Weights & Biases run: its server, or offline in <run>/wandb",
                     builder="sightsmith.plugins.loggers.wandb:WandbLogger",
                     options={"project": "sightsmith", "entity": None, "offline": False}, needs=("wandb",),
                     install="pip install 'sightsmith[wandb]'"),
    ]
