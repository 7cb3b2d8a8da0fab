"""The last section of a page: what to type next."""

from __future__ import annotations

from pathlib import Path

from sightsmith.core.contracts.report import Section
from sightsmith.engine.report.page import render
from sightsmith.engine.runs.next_commands import next_commands


def next_section(run: Path) -> Section:
    """Commands for the finished ``run``, to copy."""
    return Section("Next", html=render("commands.html", commands=next_commands(run)))
