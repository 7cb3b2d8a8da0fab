"""Warnings of libraries are for the log."""

from __future__ import annotations

import sys
import warnings

import pytest
from command_line import within
from fake_plugins import with_plugin

from sightsmith.core.contracts.records import CommandRecord
from sightsmith.core.plugins import manager
from sightsmith.engine.runs.library_warnings import LOGGER, warnings_in_log


def test_they_are_logged_and_not_printed(caplog, capfd):
    with warnings_in_log():
        warnings.warn("an argument will be renamed", FutureWarning, stacklevel=1)
    [record] = caplog.records
    assert record.name == LOGGER and "FutureWarning: an argument will be renamed" in record.getMessage()
    assert capfd.readouterr() == ("", "")
    with pytest.warns(FutureWarning):  # as it was before
        warnings.warn("again", FutureWarning, stacklevel=1)


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
