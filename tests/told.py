"""What the check of a small data set has to say."""

from __future__ import annotations

from sightsmith.core.contracts.dataset import CheckedDataset
from sightsmith.core.util.errors import Problem


def told(dataset: CheckedDataset) -> list[Problem]:
    """The problems of ``dataset`` but for the warning that so few images measure little, which each small set has."""
    dataset.raise_for_errors()
    return [problem for problem in dataset.problems if "so the score on it is uncertain" not in problem.message]


def problems(dataset: CheckedDataset, severity: str = "error") -> list[str]:
    """The problems of ``dataset`` of one severity, as text."""
    return [str(problem) for problem in dataset.problems if problem.severity == severity]
