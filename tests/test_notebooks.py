"""The notebooks of docs/: each runs from top to bottom, and shows nothing that is not meant for its reader.

Their trainings, of seven models each, have one epoch here.
"""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))
GARBAGE = re.compile(r"\x1b|Traceback|IProgress|ipywidgets|\r|\w+Warning: ")


def test_there_are_notebooks_and_none_has_outputs():
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None, path.name


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    changed = [re.subn(r'"epochs": \d+', '"epochs": 1', cell.source) for cell in codes]
    assert sum(count for _, count in changed) == 1
    for cell, (source, _) in zip(codes, changed, strict=True):
        cell.source = source
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for output in (output for cell in codes for output in cell.outputs):
        assert output.output_type != "stream" or output.name == "stdout", output.text
        text = output.text if output.output_type == "stream" else output.data["text/plain"]
        assert not GARBAGE.search(text), text
    shown = [output for cell in codes for output in cell.outputs if output.output_type == "execute_result"]
    assert len(shown) >= 6 and sum("text/html" in output.data for output in shown) >= 4


@pytest.mark.slow
def test_the_stop_button_leaves_a_run_that_can_be_resumed(tmp_path):
    """The kernel is interrupted as soon as the first epoch is printed."""
    train = ("import sightsmith\nsightsmith.train(task='classification', dataset={'root': 'sample', 'limit': 60}, "
             "network={'name': 'shufflenet_v2_x0_5', 'weights': 'none'}, image={'size': 32}, hyper={'epochs': 40})")
    cells = [nbformat.v4.new_code_cell(text) for text in (train, "[run] = sightsmith.list_runs()\nprint(run.status)")]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=600, allow_errors=True,
                            resources={"metadata": {"path": str(tmp_path)}})
    stream = client.output

    def watched(outputs, message, display_id, cell_index):
        if "epoch 1/" in message["content"].get("text", ""):
            asyncio.ensure_future(client.km.interrupt_kernel())
        return stream(outputs, message, display_id, cell_index)

    client.output = watched
    client.execute()
    [error] = [output for output in cells[0].outputs if output.output_type == "error"]
    assert error.ename == "KeyboardInterrupt"
    assert "sightsmith.train([" in error.evalue and "trainer.resume=" in error.evalue
    assert cells[1].outputs[0].text == "stopped\n"
