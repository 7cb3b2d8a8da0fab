"""Whatever happens to the file of an annotation tool, reading it raises nothing and names images of the data set."""

from __future__ import annotations

import json
import random

import pytest
from tool_datasets import MAKERS

VALUES = (None, True, -1, 1e308, float("nan"), "", "x", "1", [], {}, [[]], {"a": 1}, [None], "\0", "../../x", 10**30)
BYTES = (b'"', b"<", b">", b"-", b"9" * 12, b"nan", b"\0", b"\xff", b"{", b"]")
TIMES = 25


def changed(value, chance):
    """JSON in which some values are others, and some keys and entries are missing."""
    if chance.random() < 0.02:
        return chance.choice(VALUES)
    if isinstance(value, dict):
        return {key: changed(item, chance) for key, item in value.items() if chance.random() > 0.02}
    if isinstance(value, list):
        return [changed(item, chance) for item in value if chance.random() > 0.02]
    return value


def damaged(content, suffix, chance):
    if suffix in (".json", ".jsonl") and chance.random() < 0.7:
        lines = content.decode().splitlines()
        return "\n".join(json.dumps(changed(json.loads(line), chance)) for line in lines).encode()
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(data))
        data[place:place + chance.randint(0, 9)] = chance.choice([b"", *BYTES])
    return bytes(data)


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize("kind", ["box", "labels"])
def test_damage(form, kind, plugins, tmp_path):
    name = MAKERS[form](kind)(tmp_path)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "images"]
    content, chance = path.read_bytes(), random.Random(f"{form} {kind}")
    for _ in range(TIMES):
        path.write_bytes(damaged(content, path.suffix, chance))
        record = plugins.dataset_formats[name].make()
        record.detect(tmp_path)
        index = record.read(tmp_path)
        assert index.samples or index.problems
        for sample in index.samples:
            assert sample.path.parent == tmp_path / "images"
            assert all(isinstance(label, str) and label for label in sample.labels)
            assert all(len(item.box) == 4 for item in sample.objects)
