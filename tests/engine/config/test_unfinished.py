"""A run that is not finished is called so wherever a finished one is needed, with the command that goes on with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import refused

from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.unfinished import not_finished

RUN = "2026-01-01_10-00-00-cells"
COMMAND = f"sightsmith train task=classification 'dataset.root=my photos' trainer.resume=runs/{RUN}"


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """``begun(**status)``: a run that has stopped, in ``runs``."""
    monkeypatch.chdir(tmp_path)

    def make(**status):
        run = tmp_path / "runs" / RUN
        run.mkdir(parents=True, exist_ok=True)
        (run / "config.yaml").write_text("{}")
        (run / "overrides.yaml").write_text("[task=classification, dataset.root=my photos, trainer.resume=true]")
        (run / "status.json").write_text(json.dumps({"status": "stopped", "progress": 0.374} | status))
        return run
    return make


@pytest.mark.parametrize("arguments", [
    ["predict", "run=cells", "input=photos"], ["evaluate", "run=cells"], ["export", "run=cells", "format=onnx"],
    ["serve", "run=cells"], ["preset", "create", "run=cells", "name=x"],
    ["train", "base_run=cells", "dataset.root=photos"], ["predict", "run=last", "input=photos"],
], ids=" ".join)
def test_what_needs_a_finished_run_offers_to_resume_it(begun, arguments):
    begun()
    text = refused(*arguments)
    assert ("not a finished run: runs has none\nresume the newest:\n" if "run=last" in arguments else
            "is not finished: 37 % done\nresume it:\n") in text
    assert COMMAND in text.replace(f"{Path.cwd()}/", "")


@pytest.mark.parametrize(("status", "says"), [
    ({"status": "error", "message": "out of memory"}, "37 % done, out of memory\nresume it:"),
    ({"status": "running"}, "37 % done\nwait for it, or if it was killed, resume it:"),
    ({"progress": None}, "is not finished\nresume it:"),
    ({"progress": "half"}, "is not finished, status.json is missing or damaged\nresume it:"),
])
def test_how_far_it_is(begun, status, says):
    assert says in not_finished(begun(**status)).text()


def test_a_trial_is_resumed_with_its_search(begun):
    run = begun()
    (run.parent / "sweep.json").write_text('{"continuation": "sightsmith train tuner=tpe trainer.resume=here"}')
    assert not_finished(run).text().endswith("resume it:\n  sightsmith train tuner=tpe trainer.resume=here")
    assert "is a search, not one of its runs" in not_finished(run.parent).text()


def test_damaged_files_and_other_folders(begun):
    run = begun()
    (run / "overrides.yaml").write_text("{")
    assert not_finished(run).text().endswith("37 % done\n`sightsmith list runs` shows the runs")
    error = not_finished(run.parent)
    assert isinstance(error, UserError) and "is not a finished run: its folder model/ has no model.json" in error.text()
