"""What a person sees while many images are shown to a model."""

from __future__ import annotations

import io
import sys

import pytest
from rich.table import Table

from sightsmith.engine.pipeline.console import console, tracked


def test_a_notebook_gets_plain_lines(monkeypatch):
    """Its kernel sets FORCE_COLOR, and is no terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    output, errors = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    assert list(tracked("abc", "predicting")) == ["a", "b", "c"]
    console().print("epoch 1/2", style="bold")
    assert not console().is_terminal
    assert (output.getvalue(), errors.getvalue()) == ("epoch 1/2\n", "")


def test_brackets_are_no_markup(capsys):
    table = Table("value", title="[csv]")
    table.add_row("logger=[csv,tensorboard]")
    console().print("sightsmith train 'logger=[csv]'")
    console().print(table)
    said = capsys.readouterr().out
    assert "'logger=[csv]'" in said and "logger=[csv,tensorboard]" in said and said.count("[csv]") == 2


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_drawn_on_a_terminal_alone(monkeypatch, terminal):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(tracked(iter("abc"), "predicting", 3)) == ["a", "b", "c"]
    assert ("predicting" in stream.getvalue()) == terminal
