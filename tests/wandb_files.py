"""Reads what W&B keeps offline: a log in LevelDB's format (doc/log_format.md of LevelDB) of protobuf records."""

from __future__ import annotations

import json
import struct

BLOCK, HEADER = 32768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path):
    """The records of a ``.wandb`` file, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    position, begun = HEADER, b""
    while position + HEADER <= len(content):
        if BLOCK - position % BLOCK < HEADER:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[position:position + HEADER])
        assert kind in (FULL, FIRST, MIDDLE, LAST)
        begun += content[position + HEADER:position + HEADER + length]
        position += HEADER + length
        if kind in (FULL, LAST):
            yield Record.FromString(begun)
            begun = b""


def runs_of(folder):
    """The records of every session of a run folder, oldest first."""
    import wandb

    wandb.teardown()  # its service writes the end of a file when it likes
    return [list(records(path)) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def history(session):
    """The rows that a session logged: names and values."""
    return [values(record.history.item) for record in session if record.HasField("history")]


def values(items):
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
