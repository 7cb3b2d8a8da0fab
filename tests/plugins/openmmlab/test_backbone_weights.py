"""Published backbones are found by whatever name a configuration gives them, and go into the backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.util.errors import UserError
from sightsmith.plugins.openmmlab.weights import address, load_starting_weights


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 2, 1)


def test_addresses():
    assert address("torchvision://resnet50").endswith("/resnet50-0676ba61.pth")
    assert address("open-mmlab://resnet50_v1c").endswith(".pth")
    assert address("https://example.org/a.pth") == "https://example.org/a.pth"
    with pytest.raises(UserError, match="open-mmlab://nothing"):
        address("open-mmlab://nothing")


def test_published_weights_come_from_torchs_hub_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    source, model = Detector(), Detector()
    torch.save(source.backbone.state_dict(), folder / "small-01234567.pth")
    report = load_starting_weights(model, NetworkConfig("net", "imagenet"),
                                   ["https://example.org/small-01234567.pth", "unused"], [], dict)
    assert "small-01234567.pth" in report.source
    torch.testing.assert_close(model.backbone.state_dict(), source.backbone.state_dict())
    with pytest.raises(UserError, match="has no published backbone"):
        load_starting_weights(model, NetworkConfig("net", "imagenet"), [], [], dict)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_file_holds_a_backbone_or_a_whole_network(tmp_path, prefix):
    source, model = Detector(), Detector()
    state = source.state_dict() if prefix else source.backbone.state_dict()
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    report = load_starting_weights(model, NetworkConfig("net", str(tmp_path / "w.pth")), [], [], dict)
    torch.testing.assert_close(model.backbone.state_dict(), source.backbone.state_dict())
    assert model.head.weight.equal(source.head.weight) is bool(prefix)
    assert not report.unused
    assert load_starting_weights(model, NetworkConfig("net", "none"), [], [], dict) is None
