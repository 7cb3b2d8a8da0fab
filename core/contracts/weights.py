"""What became of a file of starting weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sightsmith.core.util.errors import listed


@dataclass(frozen=True)
class LoadReport:
    """What of a file of weights went into a model.

    ``mismatched`` pairs a tensor's name with both shapes; ``unused`` are in the file only, ``missing``
    in the model only, left at their initial values. ``digest`` is the file's sha256. Where heads were
    matched by the names of their classes, ``classes`` says which are kept, new, and dropped.
    """

    source: str
    loaded: tuple[str, ...]
    mismatched: tuple[tuple[str, str], ...] = ()
    unused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    how: str = "by name"
    digest: str | None = None
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What is printed: counts, and the first names of each kind."""
        lines = [f"Starting weights from {self.source}: {len(self.loaded)} tensors loaded, matched {self.how}"]
        for text, names in (
            ("of another shape, left as initialised", [f"{name} ({shapes})" for name, shapes in self.mismatched]),
            ("not in the file, left as initialised", list(self.missing)),
            ("of the file not used", list(self.unused)),
        ):
            if names:
                lines.append(f"  {len(names)} {text}: {listed(names)}")
        if self.classes:
            lines.append("  heads matched by class: " + "; ".join(
                f"{len(names)} {kind} ({listed(names)})" for kind, names in self.classes.items() if names))
        return lines
