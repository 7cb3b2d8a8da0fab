"""What shells offer, asked as they ask, and what is offered for a word."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import within

from sightsmith import completion
from sightsmith.cli import main
from sightsmith.completion import completions
from sightsmith.plugins.commands.offers import offers
from sightsmith.plugins.commands.shells import SCRIPTS

ASKED = {
    "bash": ["bash", "-c", r"""eval "$2"
        read -ra COMP_WORDS <<< "$1"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _sightsmith; printf '%s\n' "${COMPREPLY[@]}" """, "bash"],
    "zsh": ["zsh", "-fc", r"""compdef() {}; eval "$2"
        compadd() { while [[ $1 != -- ]]; do shift; done; shift; [[ $# = 0 ]] || print -l -- "$@" }
        words=("${(@s: :)1}"); CURRENT=$#words
        _sightsmith""", "zsh"],
    "fish": ["fish", "--no-config", "-c", "echo $argv[2..] | source; complete -C $argv[1]"],
}


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def kept(plugins):
    return offers(plugins)


@pytest.fixture
def offered(monkeypatch, kept):
    monkeypatch.setattr(completion, "kept", lambda file, make: kept)
    return lambda typed: completions(typed.split(" "))


@pytest.mark.parametrize("shell", SCRIPTS)
@pytest.mark.parametrize(("typed", "expected"), [
    ("sightsmith train task=detection hyper.lr", ["hyper.lr_gamma=", "hyper.lr_step_size="]),
    ("sightsmith predict run=last input=my", ["input=my photos/"]),
    ("sightsmith doctor x", []),
])
def test_a_shell_offers(shell, typed, expected):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    Path("my photos").mkdir()
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([*ASKED[shell], typed, SCRIPTS[shell]], capture_output=True, text=True, check=False,
                          timeout=60, env={**os.environ, "PATH": beside, "HOME": str(Path.cwd())},
                          stdin=subprocess.DEVNULL)
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    if shell == "bash":  # which is given the words quoted
        lines = [word for line in lines for word in shlex.split(line)]
    assert sorted(lines) == expected, done.stderr


@pytest.mark.parametrize(("typed", "expected"), [
    ("train task=", "task=classification task=detection task=segmentation"),
    ("train network=resnet1", "network=resnet101 network=resnet152 network=resnet18"),
    ("train task=segmentation network=rtm", ""),
    ("train task=detection network=rtmdet_t", "network=rtmdet_tiny"),
    ("train network=mmdet network.config=atss/atss_r18", "network.config=atss/atss_r18_fpn_8xb8-amp-lsj-200e_coco"),
    ("train preset=cell", "preset=cell_nuclei"),
    ("train task=detection preset=cell", ""),
    ("train tuner=ra", "tuner=random tuner=ray_pbt tuner=ray_asha"),
    ("train tuner=random,t", "tuner=random,tpe"),
    ("train logger=[csv,m", "logger=[csv,mlflow"),
    ("train hyper.optimizer=", "hyper.optimizer=sgd hyper.optimizer=adam hyper.optimizer=adamw"),
    ("train hyper.early_stop=", "hyper.early_stop=true hyper.early_stop=false"),
    ("train image.size=64 image.s", "image.std="),
    ("train trainer.devices=", "trainer.devices=auto"),
    ("train dataset.format=yo", "dataset.format=yolo"),
    ("train +augment.extra.mosaic", ""),
    ("train hydra/launcher=ba", "hydra/launcher=basic"),
    ("train --mul", "--multirun"),
    ("inspect preset=cell_nuclei conv", "convert= convert_dir="),
    ("inspect convert=coc", "convert=coco"),
    ("predict format=par", "format=parquet"),
    ("export format=", "format=onnx format=torchscript"),
    ("list networks --task seg", "segmentation"),
    ("list net", "networks"),
    ("completion ", "bash zsh fish --help"),
    ("nothing x", ""),
])
def test_what_is_offered(offered, typed, expected):
    assert offered(typed) == expected.split()


def test_runs_and_own_files_are_offered(offered, monkeypatch):
    for name in ("2026-01-31_12-00-00-elpv", "2026-02-01_12-00-00-cells", "2026-02-02_12-00-00-cells"):
        card = Path("runs", name, "model", "model.json")
        card.parent.mkdir(parents=True)
        card.touch()
    for file in ("presets/mine.yaml", "confs/photos.yaml", "other.yaml"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    assert offered("evaluate run=") == ["run=last", "run=elpv", "run=2026-02-01_12-00-00-cells",
                                        "run=2026-02-02_12-00-00-cells"]
    assert offered("train base_run=el") == ["base_run=elpv"]
    assert offered("train preset=mi") == ["preset=mine"]
    assert offered("train dataset=") == ["dataset=sample", "dataset=confs/", "dataset=other.yaml", "dataset=presets/",
                                         "dataset=runs/"]
    assert offered("train --config-dir confs --config-name ") == ["photos"]
    assert offered("train --config-name o") == ["other"]


def test_it_is_offered_without_loading_plugins(monkeypatch, capsys):
    def offered():
        with pytest.raises(SystemExit) as ended:
            main(["--complete", "train", "task=cl"])
        assert ended.value.code == 0
        return capsys.readouterr().out
    assert offered() == "task=classification\n"
    monkeypatch.setattr("sightsmith.core.plugins.manager.load_plugins", None)
    assert offered() == "task=classification\n"


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_verb_prints_the_script(shell):
    assert within("completion", shell) == (0, SCRIPTS[shell], "")
