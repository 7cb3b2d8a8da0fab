"""``network.options`` is a closed world: nothing in it is evaluated, imported, opened or fetched."""

from __future__ import annotations

import ast
import copy
import functools
import importlib
import inspect
import pickle
import re
from dataclasses import replace
from typing import Any

import crowns
import few_cases
import heads
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from zoo_step import make_task

from sightsmith.core.util.errors import UserError
from sightsmith.plugins.openmmlab import parts, zoo
from sightsmith.plugins.openmmlab.build import registry

RETINANET = "retinanet/retinanet_r18_fpn_1x_coco"
FASTSCNN = "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024"
DISTILLED = "ld/ld_r18-gflv1-r101_fpn_1x_coco"


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """The file that each attack writes, with everything that the attacks name beside it."""
    path = tmp_path / "marker"
    code = f"open({str(path)!r}, 'w')"
    (tmp_path / "stranger.py").write_text(f"{code}\nmodel = dict()\n")
    for name in ("stranger.pkl", "stranger.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(_Opens(str(path))))
    monkeypatch.syspath_prepend(tmp_path)
    return path


class _Opens:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


ATTACKS = {
    "evaluated": (RETINANET, {"bbox_head": {"bbox_coder": {
        "_delete_": True, "type": "CameraMotionCompensation", "warp_mode": "open('MARKER', 'w')"}}}),
    "evaluated at prediction": (RETINANET, {"test_cfg": {"nms": {"type": "open('MARKER', 'w')"}}}),
    "unpickled by a loss": (FASTSCNN, {"decode_head": {"loss_decode": {
        "_delete_": True, "type": "CrossEntropyLoss", "class_weight": "FOLDER/stranger.pkl"}}}),
    "run as a configuration": (DISTILLED, {"teacher_config": "FOLDER/stranger.py"}),
    "imported": (RETINANET, {"neck": {"_delete_": True, "type": "stranger"}}),
    "imported by its path": (RETINANET, {"neck": {"_delete_": True, "type": "stranger.model"}}),
    "imported as a scope": (RETINANET, {"neck": {"_scope_": "stranger"}}),
    "unpickled as weights": (RETINANET, {"backbone": {"init_cfg": [
        {"type": "Pretrained", "checkpoint": "FOLDER/stranger.pth"}]}}),
    "unpickled as weights of a part": (RETINANET, {"neck": {"init_cfg": {
        "type": "Pretrained", "checkpoint": "FOLDER/stranger.pth"}}}),
    "fetched": (FASTSCNN, {"backbone": {"_delete_": True, "type": "TIMMBackbone", "model_name": "resnet18",
                                        "pretrained": True, "in_channels": 3}}),
}


def attack(name, marker):
    """The configuration and the options of one of the attacks."""
    def filled(node):
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [filled(value) for value in node]
        return node.replace("MARKER", str(marker)).replace("FOLDER", str(marker.parent)) if isinstance(
            node, str) else node
    config, options = ATTACKS[name]
    return config, filled(options)


@pytest.mark.parametrize("name", ATTACKS)
def test_options_run_nothing(marker, name):
    config, options = attack(name, marker)
    task = make_task("mmseg" if config == FASTSCNN else "mmdet", config, options=options)
    with pytest.raises(UserError) as raised:
        task.build_model()
    assert not marker.exists()
    assert "network.options." in str(raised.value)


SINKS = ("eval", "exec", "import_module", "load", "load_checkpoint", "fromfile", "open", "urlopen", "torch_load",
         "get_class_weight", "create_model", "from_pretrained", "get_object_from_string")
"""What evaluates, imports, opens or fetches, or hands a text to what does."""


@functools.cache
def calls(module: str) -> dict[str, set[str]]:
    """The names of :data:`SINKS` that each class and function of a module calls."""
    found = {}
    for part in ast.parse(inspect.getsource(importlib.import_module(module))).body:
        if isinstance(part, (ast.ClassDef, ast.FunctionDef)):
            named = [node.func for node in ast.walk(part) if isinstance(node, ast.Call)]
            found[part.name] = {name for call in named if (name := getattr(call, "id", getattr(call, "attr", "")))
                                in SINKS and not (name == "eval" and isinstance(call, ast.Attribute))}
    return found


def sinks(kind: Any) -> set[str]:
    """The names of :data:`SINKS` that a class with its base classes, or a function, calls."""
    own = [part for part in getattr(kind, "__mro__", [kind]) if part.__module__.startswith("mm")]
    return set().union(*(calls(part.__module__).get(part.__name__, set()) for part in own))


def registered() -> list[tuple[str, Any]]:
    """Everything in the registries of parts of models, after its name."""
    found: list[tuple[str, Any]] = []
    for package in ("mmdet", "mmseg"):
        registry(package)
        pending = [importlib.import_module(f"{package}.registry").MODELS.root,
                   importlib.import_module(f"{package}.registry").TASK_UTILS.root]
        while pending:
            part = pending.pop()
            found += part.module_dict.items()
            pending += part.children.values()
    return found


def test_no_registered_class_that_evaluates_imports_opens_or_fetches_gets_a_text_of_the_options():
    dangerous = [(name, kind) for name, kind in registered() if sinks(kind)]
    assert {"CameraMotionCompensation", "TIMMBackbone", "CrossEntropyLoss", "SwinTransformer", "LAD", "VPD",
            "KnowledgeDistillationSingleStageDetector", "AppearanceFreeLink"} <= {name for name, _ in dangerous}
    for name, kind in dangerous:
        for argument in inspect.signature(kind).parameters:
            for value in ("open('marker', 'w')", ["stranger.pth"], {"type": "Pretrained", "checkpoint": "stranger.pth"},
                          [{"stranger": "file.pkl"}]):
                with pytest.raises(UserError, match=r"network\.options\.part"):
                    parts.validate({"part": {"type": name, argument: value}}, {}, "x")
        # Without a text, only what the zoos' own networks are made of.
        if name not in parts.known("type"):
            with pytest.raises(UserError, match=f"part.type={name} is not a part"):
                parts.validate({"part": {"type": name}}, {}, "x")
    assert not {"CameraMotionCompensation", "TIMMBackbone", "AppearanceFreeLink", "VPD", "BertModel",
                "Detectron2Wrapper", "CLIPTextEncoder"} & set(parts.known("type"))


def test_every_word_of_the_table_is_a_plain_word():
    """Evaluated or imported, it would name nothing but a part."""
    for key, texts in parts.table().items():
        for text in texts:
            assert re.fullmatch(r"[\w-]+(\.\d\w+)?", text), (key, text)
    assert set(parts.known("type")) - WORDS <= {name for name, _ in registered()}


WORDS = {"DeformRoIPoolPack", "ModulatedDeformRoIPoolPack", "RoIAlign", "SimpleRoIAlign",
         "att", "conv", "deconv", "dilation", "interpolation_conv", "last_conv", "nms", "offset", "soft_nms"}
"""Types that are looked up in no registry, but among mmcv's operators or the words of a module."""


@pytest.mark.parametrize(("options", "says"), [
    ({"backbone": {"type": "ResNext"}}, r"network\.options\.backbone\.type=ResNext is not a part .*'ResNeXt'"),
    ({"backbone": {"style": "cafe"}}, r"network\.options\.backbone\.style=cafe is not allowed\. Did you mean 'caffe'\?"
                                      r"\n +allowed there: caffe, pytorch, numbers, true, false and null"),
    ({"backbone": {"norm_cfg": [{"type": "BN"}, {"type": 3}]}}, r"\.backbone\.norm_cfg\[1\]\.type=3 is not a part"),
    ({"backbone": {"pretrained": True}}, r"options\.backbone\.pretrained: files are not .*\n +network\.weights=PATH"),
    ({"teacher_ckpt": "teacher.pth"}, r"options\.teacher_ckpt: files are not chosen there"),
    ({"neck": {"num_outs": "5"}}, r"options\.neck\.num_outs=5 is not allowed"),
    ({"neck": {"num_outs": 0}}, "cannot be built with network.options .*AssertionError"),
    ({"backbone": {"dept": 18}}, "cannot be built with network.options .*unexpected keyword argument 'dept'"),
    ({"backbone": None}, "cannot be built with network.options"),
    ({"neck": {"_delete_": True, "type": "nms"}}, "nms is not in the mmdet::model registry"),
])
def test_what_is_refused_and_what_is_allowed_there(options, says):
    with pytest.raises(UserError, match=says):
        make_task("mmdet", RETINANET, options=options).build_model()


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "mmengine.load", "mmdet.apis.inference.os.system"])
def test_a_part_is_not_named_by_a_path_that_mmengine_would_import_and_call(path):
    parts.validate({"backbone": {"type": "ResNet", "norm_cfg": {"type": "mmdet.BN"}},
                    "necks": [{"type": "FPN"}]}, {}, "x")
    with pytest.raises(UserError, match=path):
        parts.validate({"necks": [{"type": "FPN"}, {"type": path}]}, {}, "x")


def test_all_problems_at_once_with_the_source():
    with pytest.raises(UserError) as raised:
        parts.validate({"a": {"type": "os.system"}, "b": [{"style": "x"}]}, {}, "The preset mine.yaml")
    assert str(raised.value).startswith("The preset mine.yaml may only choose")
    assert [str(problem).split(" ")[0] for problem in raised.value.problems] == [
        "network.options.a.type=os.system", "network.options.b[0].style=x"]


def test_the_networks_own_settings_may_be_repeated():
    """Weights too: they are not loaded."""
    own = zoo.load_model("mmdet", RETINANET)
    parts.validate(copy.deepcopy(own), own, "x")
    assert own["backbone"]["init_cfg"]["checkpoint"].startswith("torchvision://")
    options = {"backbone": own["backbone"], "neck": {"num_outs": 5}}
    built, _ = make_task("mmdet", RETINANET, options=options).build_model()
    assert built.backbone.depth == 18


def test_a_part_of_every_kind_of_layer(tmp_path):
    options = {"backbone": {"_delete_": True, "type": "MobileNetV2", "out_indices": [1, 2, 4, 6],
                            "act_cfg": {"type": "HSwish"}, "norm_cfg": {"type": "IN"}},
               "neck": {"in_channels": [24, 32, 96, 320], "upsample_cfg": {"mode": "bilinear"}},
               "bbox_head": {"loss_bbox": {"type": "DIoULoss", "reduction": "sum"}, "reg_decoded_bbox": True}}
    built, _ = make_task("mmdet", RETINANET, options=options).build_model()
    assert type(built.bbox_head.loss_bbox).__name__ == "DIoULoss"


def test_nothing_is_imported_by_the_name_of_a_part(tmp_path, monkeypatch):
    (tmp_path / "conv.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="conv is not in the mmdet::model registry"):
        make_task("mmdet", RETINANET, options={"neck": {"_delete_": True, "type": "conv"}}).build_model()
    assert not (tmp_path / "marker").exists()


BENCHMARKS = [
    *(("mmdet", zoo_name, crowns.DETECTORS[name][1:]) for name, zoo_name in (
        ("faster_rcnn", "faster_rcnn/faster-rcnn_r50_fpn_1x_coco"), ("dino", "dino/dino-4scale_r50_8xb2-12e_coco"))),
    ("mmdet", "rtmdet/rtmdet_tiny_8xb32-300e_coco", few_cases.CASES["crowns"].options),
    ("mmseg", few_cases.CASES["nuclei"].config, few_cases.CASES["nuclei"].options),
    ("mmdet", "dino/dino-4scale_r50_8xb2-12e_coco", heads.OPTIONS["dino_r50"]),
]


@pytest.mark.parametrize(("package", "name", "options"), BENCHMARKS)
def test_the_options_of_the_benchmarks_are_allowed(package, name, options):
    if isinstance(options, list):
        parsed = OverridesParser.create().parse_overrides(options)
        options = {change.key_or_group.removeprefix("network.options."): change.value() for change in parsed}
    changed = make_task(package, name, options=options).adapted()
    assert changed != make_task(package, name).adapted()


@pytest.mark.parametrize("package", parts.ZOOS)
def test_the_table_has_what_the_zoos_have(package):
    """Of every twentieth configuration; all of them take minutes."""
    names = [entry.name for entry in parts.ZOOS[package]() if entry.trainable is not False][::20]
    assert len(names) > 20
    table = {(key, text) for key, found in parts.table().items() for text in found}
    for name in names:
        assert set(parts.texts(zoo.load_model(package, name))) <= table, name


def test_the_record_of_a_plugin_may_use_parts_of_its_own(tmp_path, monkeypatch):
    """Its builder registers them; the user's options change them by numbers, and cannot choose others."""
    (tmp_path / "own_parts.py").write_text(
        "from mmdet.registry import MODELS\nfrom mmdet.models.necks import FPN\n"
        "from sightsmith.plugins.openmmlab.build import build_model\n\n"
        "@MODELS.register_module(force=True)\nclass OwnNeck(FPN):\n"
        "    def __init__(self, flavour, **settings):\n        super().__init__(**settings)\n"
        "        self.flavour = flavour\n")
    monkeypatch.syspath_prepend(tmp_path)
    task = make_task("mmdet", RETINANET, options={"neck": {"num_outs": 5, "start_level": 1}})
    task.network = replace(task.network, builder="own_parts:build_model",
                           options={"config": RETINANET, "neck": {"type": "OwnNeck", "flavour": "plain"}})
    built, _ = task.build_model()
    assert (type(built.neck).__name__, built.neck.flavour) == ("OwnNeck", "plain")
    task.config.network.options = {"backbone": {"type": "OwnNeck"}, "neck": {"flavour": "other"}}
    with pytest.raises(UserError) as raised:
        task.build_model()
    assert [str(problem).split(" ")[0] for problem in raised.value.problems] == [
        "network.options.backbone.type=OwnNeck", "network.options.neck.flavour=other"]
