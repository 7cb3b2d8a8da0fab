"""Matching the rows of a network's heads by class."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

Row = Hashable
"""The meaning of a row of a head, equal in all networks of its kind: a class, and which of the class's rows it is."""

Layout = Callable[[int, Sequence[str]], Sequence[Row] | None]
"""The meaning of each of so many rows for a list of classes; None if the number does not fit these classes."""


@dataclass(frozen=True)
class Head:
    """A tensor in which each class has its own rows along ``dim``."""

    dim: int
    layout: Layout

    def filled(self, own: Tensor, own_classes: Sequence[str], other: Tensor, classes: Sequence[str]) -> Tensor | None:
        """A copy of ``own`` with the rows of ``other`` for the common classes and for rows without a class.

        None if the two differ in more than their classes.
        """
        if [*own.shape[:self.dim], *own.shape[self.dim + 1:]] != [*other.shape[:self.dim], *other.shape[self.dim + 1:]]:
            return None
        ours = self.layout(own.shape[self.dim], own_classes)
        theirs = self.layout(other.shape[self.dim], classes)
        if ours is None or theirs is None:
            return None
        places = {row: place for place, row in enumerate(theirs)}
        pairs = [(place, places[row]) for place, row in enumerate(ours) if row in places]
        result = own.clone()
        if pairs:
            to, source = zip(*pairs, strict=True)
            result.movedim(self.dim, 0)[list(to)] = other.to(own).movedim(self.dim, 0)[list(source)]
        return result


def find_heads(state: Mapping[str, Tensor], larger: Mapping[str, Tensor],
               layout: Callable[[str, int, int], Layout]) -> dict[str, Head]:
    """The tensors of a network that are larger in ``larger``, the same network with one more class.

    ``layout`` makes a :data:`Layout` from a tensor's name, its number of rows, and the number of rows per class.
    """
    heads = {}
    for name, value in state.items():
        grown = [(dim, larger[name].shape[dim] - size) for dim, size in enumerate(value.shape)
                 if larger[name].shape[dim] != size]
        if len(grown) == 1:
            dim, per_class = grown[0]
            heads[name] = Head(dim, layout(name, value.shape[dim], per_class))
    return heads


def plain_layout(rows: int, classes: Sequence[str]) -> Sequence[Row] | None:
    """One row per class, in the order of the classes."""
    return list(classes) if rows == len(classes) else None
