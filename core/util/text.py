"""Numbers and names for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from os.path import commonprefix

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


CLOSE, PART = 0.75, 0.85
"""How like a word an option must be to be meant by it, and how like it one is of which it is a part, from 0 to 1."""
AS_CLOSE = 0.1
"""How much less like the word than the closest one another option may be that is named beside it."""


def closest(word: str, options: Iterable[str], count: int = 3) -> list[str]:
    """The ``options`` that somebody who typed ``word`` may have meant, at most ``count``, the closest first: misspelt,
    shortened, or with another ending. Case, dashes and the like do not count, nor do dotted groups that both have."""
    found = [(_closeness(word, option), option) for option in options]
    least = max([CLOSE, *(closeness - AS_CLOSE for closeness, _ in found)])
    close = sorted((-closeness, -len(commonprefix([word, option])), option) for closeness, option in found
                   if closeness >= least)
    return [option for *_, option in close[:count]]


def _closeness(word: str, option: str) -> float:
    """From 0 to 1. The group that two keys share says nothing of them; a key may be misspelt without its group, too."""
    asked, there = word.split("."), option.split(".")
    while len(asked) > 1 and len(there) > 1 and asked[0] == there[0]:
        del asked[0], there[0]
    letters = _letters("".join(asked))
    alone = _ratio(letters, _letters(there[-1])) if len(asked) == 1 else 0.0
    return max(alone, _likeness(letters, _letters("".join(there))))


def _likeness(asked: str, option: str) -> float:
    """A beginning counts from a quarter of the whole (``seg``), an inner part from half (``balance``), and another
    ending from five letters in common, most of what was asked (``classify``)."""
    shared, (short, long) = len(commonprefix([asked, option])), sorted([len(asked), len(option)])
    if short >= 3 and (shared == short and 4 * short >= long or asked in option and 2 * short >= long):
        return max(_ratio(asked, option), PART)
    return max(_ratio(asked, option), CLOSE if shared >= 5 and 2 * shared > len(asked) else 0.0)


def _ratio(asked: str, option: str) -> float:
    """0 if it is below :data:`CLOSE`, which is quickly seen."""
    matcher = SequenceMatcher(None, asked, option, autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= CLOSE and matcher.quick_ratio() >= CLOSE else 0.0


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold()) or text
