"""The table of networks says what torchvision says, and every network of it can be built."""

from __future__ import annotations

import csv
from importlib.resources import files

import pytest
import torch
from torch.overrides import TorchFunctionMode

from sightsmith.plugins.classification import networks
from sightsmith.plugins.classification.model import build_classifier

ROWS = list(csv.DictReader(files(networks.__package__).joinpath(networks.TABLE).read_text().splitlines()))


def test_the_table_is_torchvisions_metadata():
    ours = {row["name"]: {key: value for key, value in row.items() if key != "source"} for row in ROWS}
    theirs = {row["name"]: {key: str(value) for key, value in row.items() if key != "source"}
              for row in networks.torchvision_rows()}
    assert ours == theirs
    assert tuple(ROWS[0]) == networks.COLUMNS


def test_weights_that_forbid_commercial_use_are_marked():
    marked = {row["name"] for row in ROWS if row["licence"] != networks.LICENCE}
    assert marked == {"regnet_y_128gf", "vit_h_14"}
    assert all("://" not in value for row in ROWS for value in row.values())


def test_records_hold_the_table():
    records = {record.name: record for record in networks.records()}
    assert set(records) == {row["name"] for row in ROWS}
    assert records["resnet50"].parameters == 25_557_032
    assert records["inception_v3"].input_size == 299


class _ParametersOnMeta(TorchFunctionMode):
    """As ``torch.device("meta")``, but for parameters alone: RegNet computes its widths with tensors."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **{**(kwargs or {}), **({"device": "meta"} if func is torch.empty else {})})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_every_network_builds_with_the_published_number_of_parameters(row):
    size = int(row["input_size"])
    with _ParametersOnMeta():
        model = build_classifier(row["name"], 1000, channels=3, size=size, mean=(0.5,) * 3, std=(0.5,) * 3)
    count = sum(parameter.numel() for parameter in model.parameters())
    # torchvision counts Inception and GoogLeNet with and without their auxiliary heads, respectively.
    auxiliary = sum(parameter.numel() for name, parameter in model.named_parameters() if ".aux" in name)
    assert count - auxiliary == int(row["parameters"])
