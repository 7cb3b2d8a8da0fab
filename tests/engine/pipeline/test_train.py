"""A run and the plugins that listen to it."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import Plugins, Provider, installed
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.start import start

RUN = ["task=classification", "network=shufflenet_v2_x0_5", "network.weights=none", "dataset.root=sample",
       "dataset.limit=40", "recipe=platform", "image.size=32", "hyper.epochs=1", "trainer.precision=fp32",
       "trainer.memory_format=contiguous", "logger=[]", "trainer.devices=1"]


def listening(**hooks) -> Plugins:
    """The installed plugins, and one more with ``hooks``."""
    module = ModuleType("listener")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return Plugins([*installed(), (Provider("listener", "test", "1"), lambda: module)])


def test_a_plugin_that_fails_after_a_finished_run_is_a_warning_of_the_run(tmp_path, capsys):
    def sightsmith_after_run(run_dir):
        assert json.loads((run_dir / "status.json").read_text())["status"] == "finished"
        raise OSError("the mail server is down")

    overrides = [*RUN, f"output_dir={tmp_path}"]
    plugins = listening(sightsmith_after_run=sightsmith_after_run)
    result = start(compose(overrides, plugins), overrides, plugins)
    status = json.loads((result.run_dir / "status.json").read_text())
    assert status["status"] == "finished"
    assert status["message"] == ""
    warning = "listener (test 1) failed in sightsmith_after_run: OSError: the mail server is down"
    assert status["warnings"][-1] == warning  # the first says that one epoch taught nothing
    assert f"warning: {warning}\n" in capsys.readouterr().out
    log = (result.run_dir / "train.log").read_text()
    assert "WARNING listener (test 1) failed in sightsmith_after_run" in log
    assert "OSError: the mail server is down" in log


@pytest.mark.parametrize("early", [True, False])
def test_an_early_stop_is_said_with_its_reason(tmp_path, capsys, plugins, early):
    overrides = [*RUN, f"output_dir={tmp_path}", "hyper.epochs=3", "hyper.patience=1", "hyper.learning_rate=1e-6",
                 "hyper.backbone_lr_scale=0", f"hyper.early_stop={str(early).lower()}"]
    result = start(compose(overrides, plugins), overrides, plugins)
    says = "Stopped early after epoch 2 of 3: the best accuracy is of epoch 1, and hyper.patience=1"
    said = capsys.readouterr().out
    assert (says in said.partition("cases\n")[2]) == early  # below the score, with the last lines
    assert json.loads((result.run_dir / "status.json").read_text()).get("stopped_early") == (says if early else None)
    assert ("stopped early, 3 were planned" in result.report.read_text()) == early


def test_a_plugin_that_fails_before_the_run_ends_it(tmp_path):
    seen = []

    def sightsmith_before_run():
        raise OSError("no licence server")

    def sightsmith_on_run_error(error):
        seen.append(error)
        raise RuntimeError("this one is only logged")

    overrides = [*RUN, f"output_dir={tmp_path}"]
    plugins = listening(sightsmith_before_run=sightsmith_before_run, sightsmith_on_run_error=sightsmith_on_run_error)
    with pytest.raises(OSError, match="no licence server") as caught:
        start(compose(overrides, plugins), overrides, plugins)
    assert seen == [caught.value]
    [run] = tmp_path.iterdir()
    status = json.loads((run / "status.json").read_text())
    assert (status["status"], status["message"]) == ("error", "OSError: no licence server")
    assert "a plugin failed in sightsmith_on_run_error" in (run / "train.log").read_text()
