"""Number formatting."""

from __future__ import annotations


def format_metric(value: float | None) -> str:
    """A metric with four decimals; None is ``undefined``."""
    return "undefined" if value is None else f"{value:.4f}"


def format_duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s`` or ``12 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"
