"""What bash offers, asked as bash asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
eval "$(sightsmith completion)"
COMP_LINE="$1"
read -ra COMP_WORDS <<< "$1"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_sightsmith
echo "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(("typed", "offered"), [
    ("sightsmith tr", "train"),
    ("sightsmith train task=", "task=classification task=detection task=segmentation"),
    ("sightsmith train task=detection hyper.lr", "hyper.lr_gamma= hyper.lr_step_size="),
    ("sightsmith predict min", "min_score="),
    ("sightsmith train network=resnet1", "network=resnet101 network=resnet152 network=resnet18"),
    ("sightsmith inspect preset=cell_nuclei task", "task. task="),
    ("sightsmith doctor x", ""),
])
def test_bash_offers(typed, offered):
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", SCRIPT, "bash", typed], capture_output=True, text=True, check=True,
                          env={**os.environ, "PATH": beside})
    assert done.stdout.strip() == offered, done.stderr
