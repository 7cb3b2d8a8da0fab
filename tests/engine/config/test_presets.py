"""No route by which an override reaches the configuration gets past a preset's locks."""

from __future__ import annotations

import json
import shutil

import pytest
from command_line import refused, within
from PIL import Image

import sightsmith
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.core.util.errors import UserError
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.locked_keys import is_locked
from sightsmith.engine.config.presets import find_preset, load_presets
from sightsmith.engine.search.keywords import as_overrides
from sightsmith.plugins.commands.diagnosis import findings

PRESET = "pneumothorax"
RUN = [f"preset={PRESET}", "dataset.root=nowhere"]


@pytest.mark.parametrize("override", [
    "network=resnet18", "network.name=resnet18", "++network.name=resnet18", "++network.extra=1",
    "network.weights=none", "+network.options.dropout=0.5", "~network", "~network.weights", "network={name:resnet18}",
    "++network={name:resnet18}", "+network@network.options=resnet18",
    "task=detection", "task.name=detection", "image.size=64", "image={size:64}", "++image.mean=[0.1,0.1,0.1]",
    "augment.horizontal_flip=true", "augment.color_jitter.hue=0.1", "~augment.color_jitter", "dataset.tile=64",
    "flow=general", "preset.name=null", "preset.tunable=[network]", "preset.classes=[a]", "~preset.classes",
    "preset.tunable=[network,image,augment,flow,preset,task]",
])
def test_an_override_of_a_locked_key_is_refused(override, plugins):
    with pytest.raises(UserError) as raised:
        compose([*RUN, override], plugins)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("overrides", [
    ["hyper.learning_rate=0.01", "hyper.epochs=3"], ["++hyper.momentum=0.5"], ["augment.rotation=5"],
    ["trainer.seed=3", "name=mine", "output_dir=x", "logger=[]", "dataset.validation_percentage=30"],
    ["network=densenet121"], ["image.size=320"],  # the preset's own values
    ["flow=specialized"], ["limits.epochs=500", "hyper.epochs=300"],
])
def test_what_is_free_stays_free(overrides, plugins):
    config = compose([*RUN, *overrides], plugins)
    assert (config.flow, config.preset.name, config.network.name) == ("specialized", PRESET, "densenet121")


def test_one_error_names_every_key_with_both_values_and_what_to_type(plugins):
    with pytest.raises(UserError) as raised:
        compose([*RUN, "image.size=64", "network=resnet18", "flow=general"], plugins)
    text = str(raised.value)
    for part in ("preset pneumothorax of presets (sightsmith", "image.size is locked to 320, but this run has 64",
                 "network.name is locked to densenet121, but this run has resnet18",
                 "flow is locked to specialized", "hyper.*", "augment.rotation", "flow=general task=classification"):
        assert part in text


def test_the_whole_preset_cannot_be_emptied(plugins):
    fields = [f"preset.{key}={value}" for key, value in (
        ("name", "null"), ("title", "''"), ("description", "''"), ("modality", "''"), ("dicom_modalities", "[]"),
        ("body_part", "''"), ("annotation", "''"), ("classes", "[]"), ("images", "''"), ("cases", "null"),
        ("tunable", "[]"))]
    with pytest.raises(UserError, match="flow is locked"):
        compose([*RUN, *fields, "flow=general", "network=resnet18"], plugins)


@pytest.mark.parametrize("overrides", [
    ["task=classification", "flow=specialized"],
    ["task=classification", "preset.name=pneumothorax"],
    ["task=classification", "preset={name:pneumothorax,classes:[a,b]}"],
])
def test_a_preset_is_chosen_by_its_name_alone(overrides, plugins):
    with pytest.raises(UserError):
        compose([*overrides, "dataset.root=x"], plugins)


def test_a_name_near_a_preset(plugins):
    with pytest.raises(UserError, match="Did you mean 'pneumothorax'"):
        compose(["preset=pneumotorax", "dataset.root=x"], plugins)


def test_the_python_api(tmp_path):
    with pytest.raises(UserError, match="image.size is locked"):
        sightsmith.train([*RUN, "image.size=64", f"output_dir={tmp_path}"])
    assert not list(tmp_path.iterdir())


EXPERIMENT_CHOICE = "# @package _global_\ndefaults:\n  - override /network: resnet18\n"
EXPERIMENT_VALUE = "# @package _global_\nnetwork:\n  name: resnet18\n"
EXPERIMENT_PRESET = "# @package _global_\ndefaults:\n  - override /preset: pneumothorax\nimage:\n  size: 64\n"
EXPERIMENT_SWEEP = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      image.size: 64,96\n"
PRIMARY = ("defaults:\n  - config\n  - _self_\n  - override preset: pneumothorax\n"
           "dataset:\n  root: nowhere\nnetwork:\n  name: resnet18\n")
SHADOW = "name: densenet121\nweights: none\n"
OWN_PRESET = "# @package _global_\nflow: specialized\nnetwork:\n  name: resnet18\npreset:\n  name: pneumothorax\n"


@pytest.mark.parametrize(("files", "arguments", "says"), [
    ({"experiment/e.yaml": EXPERIMENT_CHOICE}, ["--config-dir", ".", *RUN, "+experiment=e"], "network.name is locked"),
    ({"experiment/e.yaml": EXPERIMENT_VALUE}, ["--config-dir", ".", *RUN, "+experiment=e"], "network.name is locked"),
    ({"experiment/e.yaml": EXPERIMENT_PRESET}, ["--config-dir", ".", "dataset.root=nowhere", "+experiment=e"],
     "image.size is locked"),
    ({"mine.yaml": PRIMARY}, ["--config-dir", ".", "--config-name", "mine"], "network.name is locked"),
    ({"network/densenet121.yaml": SHADOW}, ["--config-dir", ".", *RUN], "network.weights is locked"),
    ({"preset/pneumothorax.yaml": OWN_PRESET}, ["--config-dir", ".", *RUN, "task=classification"],
     "Your file preset/pneumothorax.yaml has the same name as a plugin's file"),
    ({"preset/mine.yaml": OWN_PRESET}, ["--config-dir", ".", "preset=mine", "dataset.root=x", "task=classification"],
     "No installed plugin provides the preset 'mine'"),
    ({}, ["--multirun", *RUN, "network=resnet18,resnet50"], "network.name is locked"),
    ({}, ["--multirun", *RUN, "hyper.epochs=1,2", "image.size=64,320"], "image.size is locked"),
    ({"experiment/e.yaml": EXPERIMENT_SWEEP}, ["--config-dir", ".", "--multirun", *RUN, "+experiment=e"],
     "image.size is locked"),
    ({"network/densenet121.yaml": SHADOW}, ["--config-path", ".", *RUN], "network.weights is locked"),
    ({"network/mine.yaml": SHADOW}, [*RUN, "hydra.searchpath=[file://.]", "network=mine"], "network.weights is locked"),
    ({}, ["--multi", *RUN, "network=resnet18,resnet50"], "network.name is locked"),
    ({}, ["hydra.mode=MULTIRUN", *RUN, "network=resnet18,resnet50"], "network.name is locked"),
    ({}, ["-m", *RUN, "network=glob(res*)"], "network.name is locked"),
    ({}, ["-m", "preset=glob(pneumo*)", "dataset.root=nowhere", "image.size=64"], "image.size is locked"),
    ({}, [*RUN, "image.size=${hyper.batch_size}"], "image.size is locked"),
    ({}, [*RUN, "image.size=${oc.env:COLUMNS}"], "image.size is locked to 320, but this run has 200"),
    ({"config.pickle": "x"}, [*RUN, "--experimental-rerun", "config.pickle"], "would unpickle a file"),
    ({"config.pickle": "x"}, ["--exp=config.pickle"], "would unpickle a file"),
    ({}, ["preset=null", "task=classification", "dataset.root=nowhere"], "preset=null has an empty value"),
    ({}, [*RUN, "network=null"], "network=null has an empty value"),
    ({}, [*RUN, "++hydra.runtime.choices.preset=null", "flow=general", "image.size=64"], "image.size is locked"),
    ({}, [*RUN, "~preset", "image.size=64", "flow=specialized", "task=classification"], "neither is chosen"),
], ids=["experiment choice", "experiment value", "experiment preset", "primary", "shadowed network", "shadowed preset",
        "own preset", "sweep", "sweep of values", "sweeper params", "config path", "search path", "shortened flag",
        "mode", "pattern", "pattern of presets", "interpolation", "environment", "rerun",
        "shortened rerun", "no preset", "no network", "forged choice", "removed preset"])
def test_routes_of_the_command_line(tmp_path, monkeypatch, files, arguments, says):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert says in refused("train", *[text.replace("file://.", f"file://{tmp_path}") if text != "." else str(tmp_path)
                                      for text in arguments])
    assert not list(tmp_path.rglob("config.yaml"))


@pytest.mark.slow
def test_presets_of_this_package_are_whole(plugins):
    presets = load_presets(plugins)
    assert len(presets) >= 12
    assert {preset.task for preset in presets.values()} == {"classification", "detection", "segmentation"}
    for name, preset in presets.items():
        assert preset.card.title
        assert preset.card.cases
        assert find_preset(name, plugins) == preset
        config = compose([f"preset={name}", "dataset.root=x"], plugins)
        assert (config.task.name, config.network.name, config.preset.name) == (preset.task, preset.network, name)
        for free in preset.card.tunable:
            assert not is_locked(free, preset)


def test_the_files_say_purpose_command_data_weights_and_licence(plugins):
    from importlib.resources import files

    found = [path for task in ("classification", "detection", "segmentation")
             for path in files("sightsmith.presets").joinpath(task).iterdir() if path.name.endswith(".yaml")]
    assert len(found) == len(load_presets(plugins))
    for path in found:
        head = path.read_text().split("title:")[0]
        for part in (f"sightsmith train preset={path.name.removesuffix('.yaml')}", "# Data:", "# Weights:",
                     "Licence", "Reference score"):
            assert part in head, path


def test_cards(capsys):
    from sightsmith.cli import main

    for arguments, parts in (
        (["list", "presets"], ["pneumothorax", "tree_crowns"]),
        (["list", "presets", "pneumothorax"], ["PTX, normal", "densenet121", "none measured", "chest"]),
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
        output = capsys.readouterr().out
        assert all(part in output for part in parts)
    with pytest.raises(SystemExit):
        main(["list", "presets", "--json", "--task", "segmentation"])
    assert {row["task"] for row in json.loads(capsys.readouterr().out)} == {"segmentation"}
    with pytest.raises(SystemExit):
        main(["list", "presets", "pneumothorax", "--json"])
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["pneumothorax"]
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as end:
            main(["list", "presets", "pneumotorax", *flags])
        assert end.value.code == 2
        assert "Did you mean 'pneumothorax'" in capsys.readouterr().err


@pytest.mark.parametrize(("label", "rows", "says"), [
    ("multi-label", ["a.png,PTX,1", "a.png,normal,0", "b.png,PTX,0", "b.png,normal,1"], "the data is multi-label"),
    ("other classes", ["a.png,PTX", "b.png,effusion"], "it lacks the classes normal"),
    ("surplus class", ["a.png,PTX", "b.png,normal", "c.png,effusion"], "does not know: effusion"),
])
def test_data_that_is_not_what_the_card_wants(tmp_path, label, rows, says):
    for name in "abc":
        Image.new("L", (40, 40), 90 + ord(name)).save(tmp_path / f"{name}.png")
    (tmp_path / "label.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(UserError) as raised:
        sightsmith.train([f"preset={PRESET}", f"dataset.root={tmp_path}", "dataset.min_images_per_class=1"])
    text = str(raised.value)
    assert says in text
    for part in ("It expects:", "frontal chest X-ray", "single-label", "PTX, normal", "CR, DX"):
        assert part in text


def test_a_preset_that_changes_is_composed_anew(tmp_path, plugins):
    file = tmp_path / "mine.yaml"

    def write(size):
        file.write_text("task: classification\nnetwork: resnet18\ntitle: Mine\nannotation: single-label\n"
                        f"config: {{image: {{size: {size}}}}}\n")

    for size in (64, 96):  # the locks go by what the file says now
        write(size)
        assert compose([f"preset={file}", "dataset.root=x"], plugins).image.size == size
        with pytest.raises(UserError, match=f"image.size is locked to {size}"):
            compose([f"preset={file}", "dataset.root=x", "image.size=32"], plugins)


def test_a_preset_beside_the_call_is_found_by_its_name(tmp_path, monkeypatch, plugins):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "presets" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("task: classification\nnetwork: resnet18\ntitle: Mine\nannotation: single-label\n"
                    "config: {image: {size: 96}}\n")
    shutil.copy(file, file.with_name(f"{PRESET}.yaml"))
    config = compose(["preset=mine", "dataset.root=x"], plugins)
    assert (config.preset.file, config.image.size) == (str(file), 96)
    assert compose(as_overrides({"preset": "mine", "dataset.root": "x"}), plugins).preset.file == str(file)
    with pytest.raises(UserError, match="image.size is locked to 96"):
        compose(["preset=mine", "dataset.root=x", "image.size=32"], plugins)
    assert not compose(RUN, plugins).preset.file  # what is installed comes first
    with pytest.raises(UserError, match="Did you mean 'mine'"):
        find_preset("mien", plugins)
    assert "Mine" in within("list", "presets", "mine")[1]


def test_an_installed_preset_that_changes_is_read_anew(preset_folder):
    plugins = load_plugins()
    for size in (64, 96):
        (preset_folder / "mine.yaml").write_text(
            "task: classification\nnetwork: resnet18\ntitle: Mine\nannotation: single-label\n"
            f"config: {{image: {{size: {size}}}}}\n")
        assert compose(["preset=mine", "dataset.root=x"], plugins).image.size == size


def test_a_damaged_preset_of_a_plugin_matters_where_it_is_chosen(preset_folder):
    (preset_folder / "damaged.yaml").write_text("task: [classification\n")
    fresh = load_plugins()
    assert compose(["task=classification", "dataset.root=x"], fresh).preset.name is None
    with pytest.raises(UserError, match="preset damaged.yaml of presets .*cannot be read"):
        compose(["preset=damaged", "dataset.root=x"], fresh)
    says = "The preset damaged.yaml of presets"
    said = refused("train", "preset=damaged", "dataset.root=x")
    assert says in said and "Traceback" not in said
    (preset_folder / "mine.yaml").write_text("task: classification\nnetwork: resnet18\ntitle: Mine\n"
                                             "annotation: single-label\n")
    code, output, errors = within("list", "presets", "--json")
    assert (code, [row["name"] for row in json.loads(output)]) == (0, ["mine"])
    assert f"warning: {says}" in errors
    [finding] = [item for item in findings(load_plugins()) if not item.ok]
    assert not finding.ok and says in finding.text


@pytest.mark.parametrize(("overrides", "told", "untold"), [
    (["preset=cell_nuclei", "task=classification", "hyper.epochs=300"],
     ["task.name is locked to segmentation, but this run has classification"], ["limit", "augment.horizontal_flip is"]),
    (["preset=cell_nuclei", "task=classification", "hyper.epochs=0"],
     ["task.name is locked", "hyper.epochs=0 is out of range"], []),
    (["preset=pneumothorax", "task=detection", "hyper.batch_size=20"], ["task=detection: The preset pneumothorax"],
     ["limit"]),
    (["preset=pneumothorax", "image.size=64", "hyper.batch_size=64"],
     ["image.size is locked", "hyper.batch_size=64 is above the limit of 32"], []),
    (["task=detection", "network=resnet18", "hyper.batch_size=20"], ["is for classification, not for detection"],
     ["limit"]),
    (["task=detection", "network=resnet18", "hyper.epochs=0"],
     ["is for classification, not for detection", "hyper.epochs=0 is out of range"], []),
])
def test_the_cause_is_told_and_what_follows_from_it_is_not(plugins, overrides, told, untold):
    with pytest.raises(UserError) as raised:
        compose([*overrides, "dataset.root=x"], plugins)
    text = str(raised.value)
    assert all(part in text for part in told), text
    assert not any(part in text for part in untold), text
