"""``sightsmith.plugin``: complete, documented, cheap to import, and known to type checkers."""

from __future__ import annotations

import ast
import difflib
import inspect
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sightsmith import plugin

SOURCE = ast.parse(Path(plugin.__file__).read_text())


def imports(nodes):
    """``{name: "module:attribute"}`` of the ``from ... import`` of ours among ``nodes``."""
    return {alias.asname or alias.name: f"{node.module}:{alias.name}" for node in nodes
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sightsmith") for alias in node.names}


def checked_only():
    [block] = [node for node in SOURCE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return imports(block.body)


def test_each_name_is_there_and_type_checkers_know_the_same_object():
    assert checked_only() == plugin.LAZY
    eager = imports(SOURCE.body)
    assert not eager.keys() & plugin.LAZY.keys()
    assert sorted(plugin.__all__) == sorted(eager | plugin.LAZY)
    assert all(getattr(plugin, name) is not None for name in plugin.__all__)


@pytest.mark.parametrize("name", plugin.__all__)
def test_each_name_is_documented_where_it_is_defined(name):
    where = plugin.LAZY.get(name) or imports(SOURCE.body)[name]
    module, _, attribute = where.partition(":")
    value = getattr(plugin, name)
    if inspect.isfunction(value) or inspect.isclass(value) and value.__name__ == attribute:
        text = value.__doc__ or ""
        assert text.strip() and not text.startswith(f"{attribute}("), f"{where} has no docstring"
        return
    body = ast.parse(Path(find_spec(module).origin).read_text()).body
    places = [place for place, node in enumerate(body)
              if isinstance(node, (ast.Assign, ast.AnnAssign)) and attribute in ast.unparse(node).split("=")[0]]
    assert places, f"{where} is not assigned there"
    after = body[places[0] + 1]
    assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), f"{where} has no text below it"


def test_importing_it_imports_nothing_heavy():
    script = ("import sys; from sightsmith.plugin import NetworkRecord, hookimpl\n"
              "print([name for name in sys.modules if name.partition('.')[0] in "
              "('torch', 'numpy', 'omegaconf', 'hydra', 'PIL', 'rich') or name.startswith('sightsmith.engine')])")
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(ImportError):
        from sightsmith.plugin import read_images  # noqa: F401
    with pytest.raises(AttributeError, match=r"sightsmith.plugin has no 'read_imag'. Did you mean 'read_image'"):
        plugin.read_imag  # noqa: B018
    assert difflib.get_close_matches("read_imag", plugin.__all__)
