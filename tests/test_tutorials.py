"""Every command of the tutorials in its order, in a folder of its own: with the values of the page, on fewer images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import command

PAGES = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
EMBEDDED = "dataset.root=sample"
IMAGES = 60
"""Of the embedded data, where the page sets no limit; a limit of the page is divided by ten, but not below this."""
pytestmark = pytest.mark.slow


def commands(page):
    blocks = re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def smaller(line):
    if "sightsmith train " in line and "dataset.folds=" not in line:  # so few images would be cross-validated
        line += " dataset.folds=none"
    if EMBEDDED in line and "dataset.limit=" not in line:
        return line.replace(EMBEDDED, f"{EMBEDDED} dataset.limit={IMAGES}")
    return re.sub(r"(?<=dataset\.limit=)\d+", lambda limit: str(max(IMAGES, int(limit[0]) // 10)), line)


def bash(line):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_work(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = commands(page)
    assert len(found) >= 4
    for line in found:
        fails, verb = re.fullmatch(r"(! )?(.*)", line).groups()
        if verb.startswith("sightsmith "):
            _, words, _ = bash(f"printf '%s\\0' {smaller(verb)}")
            code, output, errors = command(*words.split("\0")[1:-1])
        else:
            code, output, errors = bash(verb)
        assert code == (2 if fails else 0), f"{line}\n{output[-2000:]}\n{errors[-2000:]}"
        assert "Traceback" not in errors
