"""What was loaded of a file of starting weights, as text."""

from __future__ import annotations

from sightsmith.core.contracts.weights import LoadReport
from sightsmith.core.util.errors import listed


def loading_lines(report: LoadReport) -> list[str]:
    """For the console: counts, and the first names of each kind."""
    lines = [f"Starting weights from {report.source}: {len(report.loaded)} tensors loaded, matched {report.how}"]
    lines += [f"  {text}" for text in report.adapted]
    for text, names in (
        ("with another shape, left as initialised", [f"{name} ({shapes})" for name, shapes in report.mismatched]),
        ("not in the file, left as initialised", list(report.missing)),
        ("in the file, not used", list(report.unused)),
    ):
        if names:
            lines.append(f"  {len(names)} {text}: {listed(names)}")
    if report.classes:
        lines.append("  heads matched by class: " + "; ".join(
            f"{len(names)} {kind} ({listed(names)})" for kind, names in report.classes.items() if names))
    return lines


def plan_text(report: LoadReport | None) -> str:
    """For the plan: file, what it was trained on, licence, digest and counts."""
    if report is None:
        return "none: training starts from random weights"
    published = report.published
    origin = [f"{published.dataset}, licence {published.licence}"] if published else []
    counts = (f"{len(report.loaded)} tensors loaded, {len(report.mismatched)} mismatched, "
              f"{len(report.missing)} new")
    return "; ".join([report.source, *origin, f"SHA-256 {(report.digest or '')[:16]}", counts, *report.adapted])
