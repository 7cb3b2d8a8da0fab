"""Published backbones are found by whatever name a configuration gives them, and go into the backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.contracts.weights import PublishedWeights
from sightsmith.engine.runs import published
from sightsmith.engine.runs.weights import WeightsFile
from sightsmith.plugins.openmmlab.weights import load_file, load_starting_weights


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 2, 1)


NOTHING = NetworkRecord(name="net", description="", builder="a:b", task="t", family="f", parameters=1, input_size=32)


def test_a_published_backbone_goes_into_the_backbone(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(published, "digest_start", lambda name: "")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    source, model = Detector(), Detector()
    torch.save(source.backbone.state_dict(), folder / "small-01234567.pth")
    weights = PublishedWeights("https://example.org/small-01234567.pth", "backbone", "MIT", backbone=True)
    monkeypatch.setattr(NetworkRecord, "published_weights", lambda self, config: [weights])
    report = load_starting_weights(model, NOTHING, NetworkConfig("net", "backbone"), [], tuple, dict)
    assert report.source == "backbone (small-01234567.pth)" and report.published == weights
    torch.testing.assert_close(model.backbone.state_dict(), source.backbone.state_dict())


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_file_holds_a_backbone_or_a_whole_network(tmp_path, prefix):
    source, model = Detector(), Detector()
    state = source.state_dict() if prefix else source.backbone.state_dict()
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    report = load_starting_weights(model, NOTHING, NetworkConfig("net", str(tmp_path / "w.pth")), [], tuple, dict)
    torch.testing.assert_close(model.backbone.state_dict(), source.backbone.state_dict())
    assert model.head.weight.equal(source.head.weight) is bool(prefix)
    assert not report.unused
    assert load_starting_weights(model, NOTHING, NetworkConfig("net", "none"), [], tuple, dict) is None


def test_a_network_with_fewer_queries_takes_the_first():
    source, model = Detector(), Detector()
    source.query_embedding, model.query_embedding = nn.Embedding(9, 2), nn.Embedding(4, 2)
    report = load_file(model, WeightsFile(dict(source.state_dict())), "w", [], dict)
    assert not report.mismatched
    assert model.query_embedding.weight.equal(source.query_embedding.weight[:4])
