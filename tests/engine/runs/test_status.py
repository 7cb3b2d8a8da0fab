"""A damaged ``status.json`` is that run's error, not that of the list."""

from __future__ import annotations

import json

import pytest
from command_line import within

DAMAGED = {"status": "error", "message": "status.json is missing or damaged"}


@pytest.mark.parametrize("text", ["[]", "{}", "3", "null", "{", '{"status": []}',
                                  '{"status": "finished", "progress": "whole"}',
                                  '{"status": "finished", "score": [0.5]}'])
def test_the_other_runs_are_listed_beside_a_damaged_one(tmp_path, text):
    for name, content in (("damaged", text), ("intact", '{"status": "finished", "progress": 1.0, "score": null}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status.json").write_text(content)
    code, output, errors = within("list", "runs", "--json", "--output-dir", tmp_path)
    assert code == 0, errors
    damaged, intact = json.loads(output)
    assert damaged.items() >= DAMAGED.items()
    assert intact["status"] == "finished"
    code, output, errors = within("list", "runs", "--output-dir", tmp_path)
    assert code == 0, errors
    assert "damaged" in output
