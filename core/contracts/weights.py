"""The report on loading starting weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sightsmith.core.util.errors import listed


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of a weights file were loaded into a model.

    ``mismatched`` pairs a tensor's name with both shapes; ``unused`` tensors are in the file only; ``missing`` ones are
    in the model only, and keep their initial values. ``digest`` is the file's SHA-256. If heads were matched by class
    name, ``classes`` lists those kept, new and dropped.
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
        """For the console: counts, and the first names of each kind."""
        lines = [f"Starting weights from {self.source}: {len(self.loaded)} tensors loaded, matched {self.how}"]
        for text, names in (
            ("with another shape, left as initialised", [f"{name} ({shapes})" for name, shapes in self.mismatched]),
            ("not in the file, left as initialised", list(self.missing)),
            ("in the file, not used", list(self.unused)),
        ):
            if names:
                lines.append(f"  {len(names)} {text}: {listed(names)}")
        if self.classes:
            lines.append("  heads matched by class: " + "; ".join(
                f"{len(names)} {kind} ({listed(names)})" for kind, names in self.classes.items() if names))
        return lines
