"""The parameters of a search space, written as Hydra sweeps.

``hyper.momentum=0.8,0.9`` are choices, ``hyper.momentum=interval(0.8,0.99)`` is a range, and
``hyper.learning_rate=tag(log,interval(1e-5,0.1))`` is a logarithmic range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

Value = str | float | int
"""A parameter's value: a choice as typed, or a number in a range."""


@dataclass(frozen=True)
class Parameter:
    """A configuration key, as in an override, and its values: ``choices``, or numbers from ``low`` to ``high``
    (inclusive)."""

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def name(self) -> str:
        return self.key.lstrip("+")

    @property
    def label(self) -> str:
        """The last part of the name, as words."""
        return self.name.rpartition(".")[2].replace("_", " ")

    def __str__(self) -> str:
        if self.choices:
            return f"{self.name}: {', '.join(self.choices)}"
        return f"{self.name}: {self.low:g} to {self.high:g}{', logarithmic' if self.log else ''}"

    def sample(self, generator: Generator) -> Value:
        """A random value."""
        if self.choices:
            return self.choices[int(generator.integers(len(self.choices)))]
        if self.log:
            return self.number(math.exp(generator.uniform(math.log(self.low), math.log(self.high))))
        return self.number(generator.uniform(self.low, self.high))

    def number(self, value: float) -> float | int:
        """``value`` rounded to six digits and clipped to the range."""
        rounded = round(value) if self.whole else float(f"{value:.6g}")
        return min(max(rounded, self.low), self.high)

    def holds(self, value: object) -> bool:
        """Whether ``value`` is valid for the parameter."""
        if self.choices:
            return str(value) in self.choices
        kinds = int if self.whole else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def expected(self) -> str:
        """What :meth:`holds`, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"

    def override(self, value: Value) -> str:
        return f"{self.key}={value}"


def count(parameters: Iterable[Parameter]) -> int:
    """The number of combinations of ``parameters``, which have choices only."""
    return math.prod(len(parameter.choices) for parameter in parameters)
