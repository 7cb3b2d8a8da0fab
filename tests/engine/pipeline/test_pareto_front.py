"""The networks among which ``tuner=auto`` chooses: those that no cheaper one equals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_recommend import TASK, defaults, facts, network

from sightsmith.core.contracts.network_record import Score
from sightsmith.core.contracts.schema import PreferenceConfig
from sightsmith.core.util.errors import UserError
from sightsmith.engine.pipeline.recommend import pareto_front, recommend


def names(*networks):
    return [record.name for record in pareto_front(networks, TASK, "boxes")]


GOOD = network("small", 10, 40), network("large", 100, 60)


@pytest.mark.parametrize("other", [
    network("other", 1, 90, task="u"), network("other", 1, 90, weights=""),
    network("other", 1, 90, licence="CC-BY-NC-4.0"), network("other", 1, 90, licence=""),
    network("other", 1, 90, annotation="masks"), network("other", 1, 90, zoo="a:b"),
    network("other", 1, 90, data="LVIS"), network("other", 1, 90, metric="AR"), network("other", 1, None),
    network("dear", 200, 60), network("worse", 50, 30), network("hopeless", 1, 19),
], ids=lambda record: f"{record.name} {record.score}")
def test_networks_that_are_no_choice(other):
    assert names(*GOOD, other) == ["small", "large"]


def test_published_scores_name_metric_data_and_source(plugins):
    [version] = {record.score.source for record in plugins.networks.values() if record.builder.endswith("_classifier")}
    assert plugins.network("resnet18").score == Score("top-1", 69.758, "ImageNet-1K", version)
    assert plugins.network("rtmdet_tiny").score == Score("box AP", 40.9, "COCO", "mmdet metafile")
    assert str(plugins.network("rtmdet_tiny").score) == "box AP 40.9"
    assert plugins.network("mmdet").score is None


def test_operations_count_where_all_networks_have_them():
    slow = network("slow", 1, 50, gflops=9.0)
    assert names(*(replace(record, gflops=1.0 + place) for place, record in enumerate(GOOD)), slow) == [
        "small", "large"]
    assert names(*GOOD, slow) == ["slow", "large"]


def test_no_network_to_choose():
    with pytest.raises(UserError, match="type tuner=manual"):
        names(network("other", 1, 90, licence=""))


def test_fewer_networks_than_stops():
    config = replace(defaults("detection"))
    found = []
    for balance in range(1, 6):
        config = replace(config, preference=PreferenceConfig(balance))
        found.append(recommend(config, TASK, GOOD, facts("detection")).decisions[0].value)
    assert found == ["small", "small", "large", "large", "large"]
