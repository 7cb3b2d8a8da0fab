"""Numbers and names for people."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and line ends, marks that turn the direction of text, and parts of characters."""


def printable(text: str) -> str:
    """``text`` with what a terminal would obey, or cannot show, as escapes: names of files may hold anything."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """``text``, such as a name, :func:`printable` and without line ends and tabs: what is said in a line stays one."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def as_text(name: str) -> str:
    """The name of a file as text: bytes that are not UTF-8 become ``\\udce9`` and the like."""
    return name.encode(errors="backslashreplace").decode()


def is_text(name: str) -> bool:
    """Whether a file of text can hold ``name``: one that is not UTF-8 has halves of characters in Python."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def format_metric(value: float | None) -> str:
    """A metric with four decimals; None is ``undefined``."""
    return "undefined" if value is None else f"{value:.4f}"


def counted(number: int, one: str, more: str = "") -> str:
    """``1 image``, ``1,080 images``; ``more`` is the plural if it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def format_duration(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s`` or ``12 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s"
