"""What network.weights stands for, where it lies, and what to do where it cannot be had."""

from __future__ import annotations

import hashlib

import pytest
import torch
from weights_server import serving

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.contracts.weights import LoadReport, PublishedWeights
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.prepare import free_weights
from sightsmith.engine.report.starting_weights import plan_text
from sightsmith.engine.runs.published import (
    choose_weights,
    digest_start,
    fetch_weights,
    locate_weights,
    read_starting_weights,
)

WHOLE = PublishedWeights("http://x/whole-01234567.pth", "COCO", "MIT")
BACKBONE = PublishedWeights("http://x/backbone.pth", "backbone", "MIT", backbone=True)


def record(*published) -> NetworkRecord:
    found = NetworkRecord(name="net", description="", builder="a:b", task="t", family="f", parameters=1, input_size=32,
                          published="a:b")
    object.__setattr__(found, "published_weights", lambda config: published)
    return found


@pytest.fixture(autouse=True)
def _hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize(("published", "weights", "chosen"), [
    ((WHOLE, BACKBONE), "published", WHOLE), ((WHOLE, BACKBONE), "backbone", BACKBONE),
    ((BACKBONE,), "published", BACKBONE), ((WHOLE, BACKBONE), "none", None), ((WHOLE,), "w.pth", None),
    ((), "published", None),
])
def test_the_best_of_what_is_published_is_chosen(published, weights, chosen):
    assert choose_weights(record(*published), NetworkConfig("net", weights)) == chosen


def test_a_backbone_that_is_not_published_is_an_error():
    with pytest.raises(UserError, match=r"no backbone is published for network=net network.config=a/b\ntype"):
        choose_weights(record(WHOLE), NetworkConfig("net", "backbone", config="a/b"))


def test_where_files_lie(tmp_path):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    assert locate_weights(record(WHOLE), NetworkConfig("net", "published")) == hub / "whole-01234567.pth"
    assert locate_weights(record(), NetworkConfig("net", "published")) is None
    assert locate_weights(record(WHOLE), NetworkConfig("net", "none")) is None
    assert str(locate_weights(record(WHOLE), NetworkConfig("net", "a.pth"))) == "a.pth"


@pytest.mark.parametrize(("name", "digest"), [
    ("a-01234567.pth", "01234567"), ("mnasnet0_75-3ffadce67e.pth", "3ffadce67e"), ("a_20220902.pth", ""),
    ("cspnext-tiny_imagenet_600e.pth", ""), ("a-0123456.pth", ""), ("syncbn-backbone%2Bhead-42607475.pth", "42607475"),
])
def test_file_names_have_the_beginning_of_the_digest(name, digest):
    assert digest_start(name) == digest


def saved(path) -> bytes:
    torch.save({"weight": torch.arange(3.0)}, path)
    return path.read_bytes()


def test_what_is_not_there_is_downloaded_and_then_found_without_a_network(tmp_path):
    content = saved(tmp_path / "w")
    digest = hashlib.sha256(content).hexdigest()
    with serving(content) as server:
        published = PublishedWeights(server.url(f"w-{digest[:8]}.pth"), "COCO", "MIT")
        starting = read_starting_weights(record(published), NetworkConfig("net", "published"), lambda: ["a", "b"])
    assert (starting.digest, starting.published, starting.file.classes) == (digest, published, ("a", "b"))
    again = read_starting_weights(record(published), NetworkConfig("net", "published"))
    assert again.file.tensors["weight"].tolist() == [0, 1, 2]
    text = plan_text(starting.report(LoadReport("", ("weight",), missing=("head",))))
    assert text == (f"published (w-{digest[:8]}.pth); COCO, licence MIT; SHA-256 {digest[:16]}; "
                    "1 tensors loaded, 0 mismatched, 1 new")


def test_a_file_that_was_carried_here_badly_is_refused(tmp_path):
    path = locate_weights(record(WHOLE), NetworkConfig("net", "published"))
    path.parent.mkdir(parents=True)
    saved(path)
    with pytest.raises(UserError, match=r"not the file that was published: its SHA-256 starts with \w{8}, not 0123"):
        read_starting_weights(record(WHOLE), NetworkConfig("net", "published"))
    assert path.is_file()  # it is the user's


def test_offline_it_says_where_to_put_the_file_and_what_else_would_do(tmp_path):
    with serving(b"") as server:
        url = server.url("w-01234567.pth")
    chosen = NetworkConfig("zoo", "backbone", config="a/b")
    with pytest.raises(UserError, match="cannot be downloaded: .*refused") as raised:
        fetch_weights(record(PublishedWeights(url, "COCO", "MIT", backbone=True)), chosen)
    text = str(raised.value)
    for part in (url, str(tmp_path / "torch" / "hub" / "checkpoints" / "w-01234567.pth"), "network.weights=none",
                 "`sightsmith fetch network=zoo network.config=a/b network.weights=backbone folder=DIR`",
                 "TORCH_HOME=DIR", "network.weights=FILE"):
        assert part in text


def test_offline_only_what_can_be_typed_is_advised(tmp_path):
    with serving(b"") as server:
        published = PublishedWeights(server.url("w-01234567.pth"), "COCO", "MIT")
    with pytest.raises(UserError, match="put the file at") as raised:
        fetch_weights(record(published), NetworkConfig("net", "published"), free=False)
    assert "network.weights" not in str(raised.value)


@pytest.mark.parametrize(("overrides", "free"), [
    (["task=classification"], True), (["task=classification", "tuner=auto"], False), (["preset=pneumothorax"], False),
])
def test_weights_that_are_locked_or_chosen_are_not_typed(plugins, overrides, free):
    assert free_weights(compose([*overrides, "dataset.root=x"], plugins)) is free


def test_a_folder_that_cannot_be_written_is_read_but_not_written(tmp_path):
    # Tests run as root, whom no permission stops: a file in place of the folder does.
    (tmp_path / "torch").write_text("")
    with pytest.raises(UserError, match=f"cannot be downloaded: cannot write to .*{tmp_path / 'torch'} is a file"):
        fetch_weights(record(WHOLE), NetworkConfig("net", "published"))


def test_a_file_that_is_there_needs_no_writable_folder(tmp_path, monkeypatch):
    path = locate_weights(record(WHOLE), NetworkConfig("net", "published"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"w")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert fetch_weights(record(WHOLE), NetworkConfig("net", "published")) == path
    path.unlink()
    with pytest.raises(UserError, match="no permission to write to"):
        fetch_weights(record(WHOLE), NetworkConfig("net", "published"))


def test_the_old_value_is_refused_with_the_new_one(plugins):
    with pytest.raises(UserError, match="network.weights=imagenet is not a file\n.*network.weights=backbone"):
        compose(["task=classification", "dataset.root=x", "network.weights=imagenet"], plugins)
    assert compose(["task=detection", "dataset.root=x"], plugins).network.weights == "published"
