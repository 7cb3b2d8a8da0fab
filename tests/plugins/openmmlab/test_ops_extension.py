"""Registering ``mmcv._ext``; each test in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PREPARE = "from sightsmith.plugins.openmmlab.ops.extension import operators, provide_operators\n"


def run(code, **environment):
    done = subprocess.run([sys.executable, "-c", PREPARE + textwrap.dedent(code)], capture_output=True, text=True,
                          check=False, env={"OMP_NUM_THREADS": "1", **environment})
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_part_of_mmdet_and_mmseg_imports():
    run("""
        provide_operators()
        import mmdet.apis, mmdet.datasets, mmdet.engine, mmdet.evaluation, mmdet.models, mmdet.visualization
        import mmseg.apis, mmseg.datasets, mmseg.engine, mmseg.evaluation, mmseg.models, mmseg.visualization
        from mmcv.utils.env import collect_env
        assert collect_env()["MMCV Compiler"] == "not compiled"
        assert operators() == "torchvision and torch"
    """)


@pytest.mark.slow
def test_the_module_is_made_once():
    run("""
        import sys, threading
        assert "torch" not in sys.modules  # importing the provider is light
        threads = [threading.Thread(target=provide_operators) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        first = sys.modules["mmcv._ext"]
        provide_operators()
        assert sys.modules["mmcv._ext"] is first
    """)


def test_a_compiled_module_on_the_path_is_used(tmp_path):
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_ext.py").write_text("nms = 'compiled'\n")
    run("""
        provide_operators()
        assert operators() == "compiled"
        import mmcv._ext
        assert mmcv._ext.nms == "compiled"
    """, PYTHONPATH=str(tmp_path))


def test_a_compiled_module_that_is_imported_is_used():
    run("""
        import sys, types
        compiled = sys.modules["mmcv._ext"] = types.ModuleType("mmcv._ext")
        provide_operators()
        assert sys.modules["mmcv._ext"] is compiled
        assert operators() == "compiled"
    """)


def test_an_operator_that_is_not_provided_raises_by_name_when_it_is_called():
    import torch
    from mmcv.ops import box_iou_rotated

    with pytest.raises(NotImplementedError, match="'box_iou_rotated' of mmcv is not provided"):
        box_iou_rotated(torch.rand(2, 5), torch.rand(3, 5))


def test_private_names_are_not_operators():
    import sys

    assert not hasattr(sys.modules["mmcv._ext"], "__file__")
    assert not hasattr(sys.modules["mmcv._ext"], "_pytestfixturefunction")
