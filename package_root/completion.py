"""What a shell offers for the word that is typed, from words that are kept: a key press cannot wait for plugins.

The scripts of ``sightsmith completion`` call ``sightsmith --complete WORD...``, with the words after the program; the
last one is not finished.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightsmith.kept import kept

CREATED = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-")
"""What the name of a run's folder begins with."""
DECIDING = ("task", "network")
"""Keys whose value decides which others there are."""


def completions(words: Sequence[str]) -> list[str]:
    """The words that the last of ``words`` may become; one that ends with ``=``, ``.`` or ``/`` goes on."""
    verbs: Mapping[str, Any] = kept("completion.json", _offers)
    *before, word = words or [""]
    if not before:
        return [verb for verb in verbs if verb.startswith(word)]
    verb = verbs.get(before[0], {"words": [], "flags": {}, "keys": {}})
    typed = {key: value for key, equals, value in (text.partition("=") for text in before[1:]) if equals}
    if before[-1] in verb["flags"]:
        return [text for text in _values(verb["flags"][before[-1]], word, before, typed) if text.startswith(word)]
    key, equals, part = word.partition("=")
    if not equals:
        flags = [flag for flag in (*verb["flags"], *verb["words"]) if flag.startswith(word) and flag not in before]
        return [*flags, *_keys(verb["keys"], word, typed)]
    if key.lstrip("+") not in verb["keys"]:
        return []
    head, part = (part[:cut], part[cut:]) if (cut := max(part.rfind(","), part.rfind("[")) + 1) else ("", part)
    values = _values(verb["keys"][key.lstrip("+")], part, before, typed)
    return [f"{key}={head}{value}" for value in values if value.startswith(part)]


def _offers(plugins: Any) -> dict[str, Any]:
    from sightsmith.plugins.commands.offers import offers

    return offers(plugins)


def _keys(keys: Mapping[str, Any], word: str, typed: Mapping[str, str]) -> list[str]:
    """Keys that begin with ``word``; of several in one group, the group."""
    found = [key for key, offer in keys.items() if key.startswith(word) and key not in typed and _fits(offer, typed)]
    groups = {key: key[:len(word)] + re.split(r"(?<=[./])", key[len(word):])[0] for key in found}
    shown = list(groups.values())
    return list(dict.fromkeys(f"{key}=" if group == key or shown.count(group) == 1 else group
                              for key, group in groups.items()))


def _fits(offer: Mapping[str, Any], typed: Mapping[str, str]) -> bool:
    """Whether what is ``typed`` leaves room for ``offer``."""
    return all(key not in typed or not offer.get(key) or typed[key] in offer[key] for key in DECIDING)


def _values(offer: Mapping[str, Any], part: str, before: Sequence[str], typed: Mapping[str, str]) -> Iterable[str]:
    """The values of a key or flag: those that are fixed, as far as they fit, and those that the disk has."""
    of = offer.get("of", {})  # by value, what it goes with
    yield from (value for value in offer["values"] if _fits(of.get(value, {}), typed))
    kind = offer["kind"]
    if kind == "runs":
        yield from _runs()
    elif kind == "presets":
        yield from sorted(path.stem for path in Path("presets").glob("*.yaml"))
    elif kind == "configs":
        folder = before[before.index("--config-dir") + 1] if "--config-dir" in before[:-1] else "."
        yield from sorted(path.stem for path in Path(folder).glob("*.yaml"))
    if kind in ("files", "runs", "presets") and (part or kind == "files"):
        yield from _files(part)


def _runs() -> Iterable[str]:
    """Finished runs by name, by folder where several have the name."""
    folders = sorted(card.parents[1].name for card in Path("runs").glob("*/model/model.json"))
    names = [CREATED.sub("", folder, count=1) for folder in folders]
    yield from ["last"] if folders else []
    yield from (name if names.count(name) == 1 else folder for folder, name in zip(folders, names, strict=True))


def _files(part: str) -> Iterable[str]:
    folder = os.path.dirname(part)
    hidden = os.path.basename(part).startswith(".")
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if hidden or not entry.name.startswith("."):
            yield os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "")
