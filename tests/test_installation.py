"""`pip install -e` shows a new user no warning of the build backend."""

from __future__ import annotations

import runpy
import sys
import types
import warnings
from pathlib import Path

import pytest

SETUP = Path(__file__).parent.parent / "setup.py"


@pytest.mark.parametrize("notice", [
    "Editable installation.\n!!\n\n        ****\n        Please be careful with folders in your working directory",
    "\n\n        Please be careful with folders in your working directory with the same\n        name as your package",
], ids=["setuptools 84", "setuptools 65"])
def test_the_notice_about_editable_installations_is_silenced_and_nothing_else(monkeypatch, notice):
    def setup() -> None:
        warnings.warn(notice, UserWarning, stacklevel=1)
        warnings.warn("the package list is wrong", UserWarning, stacklevel=1)

    monkeypatch.setitem(sys.modules, "setuptools", types.SimpleNamespace(setup=setup))
    with warnings.catch_warnings(record=True) as caught:  # as pip's build environment records them
        warnings.simplefilter("always")
        runpy.run_path(str(SETUP))
    assert [str(warning.message) for warning in caught] == ["the package list is wrong"]
