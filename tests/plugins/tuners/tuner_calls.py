"""Tuners of a space of two parameters."""

from __future__ import annotations

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.search.sweep_syntax import parse_space
from sightsmith.engine.search.tuner import SearchSpace

SPACE = {"hyper.learning_rate": "tag(log,interval(1e-5,0.1))", "hyper.momentum": "interval(0.5,0.99)"}


def make(name, space=SPACE, *, trials=8, epochs=10, seed=0, parallel=1, configured=(), **options):
    record = load_plugins().tuner(name)
    search = SearchSpace(tuple(parse_space(space, "test")), trials, epochs, seed, parallel, dict(configured),
                         {**record.options, **options})
    return record.build()(search)
