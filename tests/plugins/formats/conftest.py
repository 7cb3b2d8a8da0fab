"""Reading a folder in a format, with and without the check."""

from __future__ import annotations

import pytest

from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.pipeline.load_dataset import check


@pytest.fixture
def index_of(plugins):
    """``index_of(root, format)``: what the format reads, unchecked."""
    return lambda root, form: plugins.dataset_formats[form].make().read(root)


@pytest.fixture
def checked(learns, plugins):
    """``checked(root, format, annotation)``: the data set without errors, as a task learns from it."""
    def run(root, form, annotation, *overrides):
        learns(annotation)
        dataset = check(compose(["task=classification", f"dataset.root={root}", f"dataset.format={form}", *overrides],
                                plugins), load_plugins(), lambda line: None)
        dataset.raise_for_errors()
        return dataset
    return run


@pytest.fixture
def errors():
    """``errors(index)``: the text of its errors."""
    return lambda index: [str(problem) for problem in index.problems if problem.severity == "error"]


@pytest.fixture
def warned():
    """``warned(index)``: the text of its warnings."""
    return lambda index: [str(problem) for problem in index.problems if problem.severity == "warning"]


@pytest.fixture
def read(learns, plugins):
    """The checked data set, and the lines and problems that a user reads."""
    def run(annotation, overrides, errors=False):
        learns(annotation)
        lines = []
        dataset = check(compose(["task=classification", *overrides], plugins), load_plugins(), lines.append)
        if not errors:
            dataset.raise_for_errors()
        return dataset, "\n".join([*lines, *map(str, dataset.problems)])
    return run
