"""Plugins of a stranger, made within a test."""

from __future__ import annotations

import sys
from types import ModuleType

from sightsmith.core.plugins.hookspecs import hookimpl
from sightsmith.core.plugins.manager import Plugins, Provider, installed


def with_plugin(monkeypatch, name, hook, records, **module) -> Plugins:
    """What is installed, and a plugin ``name`` whose ``hook`` returns ``records``; ``module`` are the functions and
    classes of its module ``name``, where builders look."""
    made = ModuleType(name)
    made.__file__ = f"/nowhere/{name}.py"
    vars(made).update(module)
    setattr(made, hook, hookimpl(lambda: records))
    monkeypatch.setitem(sys.modules, name, made)
    return Plugins([*installed(), (Provider(name, f"{name}-dist", "1.0", name), lambda: made)])
