"""Presets' files that are damaged, or would do more than a preset does: the file, the line and what is wrong."""

from __future__ import annotations

import os

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.presets import find_preset

GOOD = """\
title: Nodules
task: classification
network: resnet18
annotation: single-label
classes: [a, b]
config:
  hyper: {epochs: 3}
"""


@pytest.fixture
def preset(tmp_path):
    path = tmp_path / "nodules.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_one(preset, plugins):
    preset.write_text(GOOD.replace("[a, b]", "[0, 1]") + "# not an interpolation: ${HOME}\n")
    assert find_preset(str(preset), plugins).card.classes == ["0", "1"]


@pytest.mark.parametrize(("change", "says"), [
    (("classes", "title: Twice\nclasses"), "line 5: the key 'title' is given twice"),
    (("{epochs: 3}", "{epochs: 3, epochs: 4}"), "line 7: the key 'epochs' is given twice"),
    (("[a, b]", "&x [a, b]\ntunable: *x"), "line 5: a value that an alias"),
    (("[a, b]", "[&x [c], *x]"), "line 5: a value that an alias"),
    (("Nodules", "!!python/object/apply:os.abort []"), "line 1: a value of the type"),
    (("Nodules", "!mine x"), "line 1: a value of the type !mine"),
    (("Nodules", "2026-01-01"), "line 1: a value of the type timestamp; if it is text, quote it"),
    (("Nodules", "5"), "title is a number"),
    (("Nodules", "[a]"), "title is a list"),
    (("Nodules", '"\\x24{oc.env:HOME}"'), "interpolation"),
    (("{epochs: 3}", '{epochs: "$\\u007boc.env:HOME}"}'), "interpolation"),
    (("[a, b]", "[yes, no]"), "classes has a value that is not text: quote it"),
    (("[a, b]", "[1.5, 2]"), "classes has a value that is not text"),
    (("[a, b]", "a"), "classes is text"),
    (("task: classification", "task: [classification]"), "task is a list"),
    (("  hyper: {epochs: 3}", "  - hyper"), "config is a list"),
    (("{epochs: 3}", "3"), "hyper is a number"),
    (("annotation: single-label\n", ""), "it has no annotation"),
    (("annotation:", "cases: many\nannotation:"), "cases is text"),
    (("title: Nodules\n", ""), "it has no title"),
    (("[a, b]", "[a, b"), "line "),
])
def test_what_is_refused(preset, plugins, change, says):
    preset.write_text(GOOD.replace(*change))
    with pytest.raises(UserError) as caught:
        find_preset(str(preset), plugins)
    assert "nodules.yaml" in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize("make", [
    lambda path: path.write_bytes(b"title: \xff"), lambda path: path.write_bytes(b"\0"),
    lambda path: path.write_text("[" * 100_000), lambda path: path.write_text(""),
    lambda path: (path.unlink(), os.symlink(path.name, path)), lambda path: (path.unlink(), os.mkfifo(path)),
    lambda path: os.truncate(path, 65 * 2**20)])
def test_what_is_no_preset(preset, plugins, make):
    make(preset)
    with pytest.raises(UserError, match=r"nodules\.yaml"):
        find_preset(str(preset), plugins)
