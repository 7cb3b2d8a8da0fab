"""`sightsmith fetch`: the file goes where training looks for it, here or on another machine."""

from __future__ import annotations

import pytest
from command_line import refused, within
from weights_server import serving

from sightsmith.engine.runs import published


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch's own folder; whatever is fetched comes from a server here."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(published, "digest_start", lambda name: "")
    download = published.download
    with serving(b"weights") as server:
        monkeypatch.setattr(published, "download", lambda url, target, digest: download(
            server.url(url.rsplit("/", 1)[-1]), target, digest))
        yield tmp_path / "own" / "hub" / "checkpoints"


def test_the_file_goes_to_torchs_folder(hub):
    code, output, _ = within("fetch", "network=rtmdet_tiny")
    path = hub / "rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth"
    assert code == 0 and path.read_bytes() == b"weights"
    assert output.splitlines() == [str(path), "COCO, licence Apache-2.0 (OpenMMLab)"]


def test_a_folder_can_be_carried_to_a_machine_without_a_network(hub, tmp_path, monkeypatch, plugins):
    folder = tmp_path / "carried"
    code, output, _ = within("fetch", "network=mobilenet_v3_small", f"folder={folder}")
    assert code == 0 and not hub.exists()
    assert f"TORCH_HOME={folder} sightsmith train network=mobilenet_v3_small" in output
    monkeypatch.setenv("TORCH_HOME", str(folder))
    from sightsmith.core.contracts.schema import NetworkConfig
    found = published.locate_weights(plugins.network("mobilenet_v3_small"), NetworkConfig("mobilenet_v3_small"))
    assert found.read_bytes() == b"weights"


def test_a_configuration_of_a_zoo_and_a_backbone(hub):
    config = "network.config=retinanet/retinanet_r18_fpn_1x_coco"
    assert within("fetch", "network=mmdet", config)[0] == 0
    assert within("fetch", "network=resnet18", "network.weights=backbone")[0] == 0
    assert sorted(path.name for path in hub.iterdir()) == [
        "resnet18-f37072fd.pth", "retinanet_r18_fpn_1x_coco_20220407_171055-614fd399.pth"]


def test_what_cannot_be_fetched_is_explained(hub, tmp_path):
    assert "Nothing is published for network=yolox_nano" in refused("fetch", "network=yolox_nano")
    assert "is a model zoo" in refused("fetch", "network=mmdet")
    assert "Did you mean 'resnet18'" in refused("fetch", "network=resnet")
    assert "network=NAME is required" in refused("fetch")
    (tmp_path / "file").write_text("")
    assert f"{tmp_path / 'file'} is a file" in refused("fetch", "network=rtmdet_tiny", f"folder={tmp_path / 'file'}")
