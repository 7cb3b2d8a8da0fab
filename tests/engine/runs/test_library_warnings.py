"""Warnings of libraries are for the log."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from io import StringIO

import pytest
from command_line import within
from fake_plugins import with_plugin

from sightsmith.core.contracts.records import CommandRecord
from sightsmith.core.plugins import manager
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.verify import check_run
from sightsmith.engine.runs import library_warnings
from sightsmith.engine.runs.library_warnings import LOGGER, belongs_to, logged_by, warnings_in_log


def test_they_are_logged_and_not_printed(caplog, capfd):
    with warnings_in_log():
        warnings.warn("an argument will be renamed", FutureWarning, stacklevel=1)
    [record] = caplog.records
    assert record.name == LOGGER and "FutureWarning: an argument will be renamed" in record.getMessage()
    assert capfd.readouterr() == ("", "")
    with pytest.warns(FutureWarning):  # as it was before
        warnings.warn("again", FutureWarning, stacklevel=1)


def test_a_log_has_those_from_before_it_too():
    def texts(*during):
        lines = StringIO()
        with logged_by(logging.StreamHandler(lines)):
            for text in during:
                warnings.warn(text, UserWarning, stacklevel=1)
        return re.findall(r"UserWarning: (.+)", lines.getvalue())

    with warnings_in_log():
        warnings.warn("the driver is too old", UserWarning, stacklevel=1)
        assert texts("first") == ["the driver is too old", "first"]
        assert texts("second") == ["second"]  # another run of the sweep
    with warnings_in_log():
        assert texts() == []


def test_warnings_of_a_command_about_a_run_are_in_its_log(tmp_path):
    file = tmp_path / "train.log"
    with warnings_in_log():
        warnings.warn("early", UserWarning, stacklevel=1)
        belongs_to(file)
    assert not file.exists()  # it is no run's
    file.write_text("trained\n")
    for texts in (["early", "late"], []):
        with warnings_in_log():
            for text in texts[:1]:
                warnings.warn(text, UserWarning, stacklevel=1)
            belongs_to(file)
            for text in texts[1:]:
                warnings.warn(text, UserWarning, stacklevel=1)
    lines = file.read_text().splitlines()
    assert lines[0] == "trained" and re.findall(r"WARNING .*UserWarning: (\w+)", "\n".join(lines)) == ["early", "late"]
    file.unlink()
    file.symlink_to("/dev/full")  # a disk without room
    with warnings_in_log():
        warnings.warn("lost", UserWarning, stacklevel=1)
        belongs_to(file)


def test_what_opens_a_run_names_its_log(digits, plugins, monkeypatch):
    seen = []
    monkeypatch.setattr(library_warnings, "belongs_to", seen.append)
    Result.load(digits.run_dir, plugins)
    check_run(digits.run_dir, print, plugins)
    assert seen == [digits.run_dir / "train.log"] * 2


def test_a_command_prints_its_own_lines_only(monkeypatch):
    def noisy(arguments, plugins):
        warnings.warn("build_loss is deprecated", UserWarning, stacklevel=1)
        print("done")
        print("warning: this image is dark", file=sys.stderr)
        return 0

    record = CommandRecord(name="noisy", description="warns", builder="noisy_plugin:noisy")
    plugins = with_plugin(monkeypatch, "noisy_plugin", "sightsmith_commands", [record], noisy=noisy)
    monkeypatch.setattr(manager, "load_plugins", lambda: plugins)
    assert within("noisy") == (0, "done\n", "warning: this image is dark\n")
