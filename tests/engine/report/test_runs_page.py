"""The page of all runs: what goes on with which, and what is damaged."""

from __future__ import annotations

import html
import json
import re

from fake_runs import SEARCH, fake_run, fake_runs

from sightsmith.engine.report.runs_page import write_runs_page
from sightsmith.plugins.commands.listing import rows


def page_of(folder, plugins):
    said = []
    page = write_runs_page(folder, rows("runs", plugins, output_dir=folder), plugins, said.append).read_text()
    return page, said


def test_a_stopped_run_has_the_command_that_goes_on_with_it(tmp_path, plugins):
    fake_runs(tmp_path)
    page, said = page_of(tmp_path, plugins)
    commands = [html.unescape(text) for text in re.findall("<code>(.*?)</code>", page)]
    own = "sightsmith train task=classification name=c trainer.resume="
    assert commands == [*(f"{own}{tmp_path / name}" for name in ("c-stopped", "d-failed", "e-paused")), SEARCH]
    assert said == []
    assert "1 finished, 2 stopped, 1 error, 2 paused" in page
    assert page.count("accuracy 0.5000") == 5 and "accuracy 0.7000" in page
    assert "<td>a-sweep</td>" in page  # it has no page
    assert "&lt;i&gt;" in page and "<i>" not in page


def test_a_search_is_linked(tmp_path, plugins):
    fake_runs(tmp_path)
    (tmp_path / "a-sweep" / "report").mkdir()
    (tmp_path / "a-sweep" / "report" / "index.html").touch()
    assert '<a href="a-sweep/report/index.html">a-sweep</a>' in page_of(tmp_path, plugins)[0]


def test_keys_and_metrics_for_a_comparison_are_in_the_page(tmp_path, plugins):
    fake_runs(tmp_path)
    page, _ = page_of(tmp_path, plugins)
    kept = json.loads(page.partition('id="compared">')[2].partition("</script>")[0])
    assert kept[0] == {"metrics": {"accuracy": "0.7500", "loss": "0.2000", "train_loss": "1.0000"},
                       "config": {"name": "</script><b>", "hyper.learning_rate": "0.01"}}
    assert len(kept) == 6


def test_a_damaged_run_breaks_no_page(tmp_path, plugins):
    fake_run(tmp_path / "one", 1, "stopped")
    fake_run(tmp_path / "two", 2, "stopped")
    (tmp_path / "one" / "config.yaml").write_text("a: [")
    (tmp_path / "one" / "overrides.yaml").write_text("{")
    (tmp_path / "one" / "metrics.jsonl").write_text("?")
    page, said = page_of(tmp_path, plugins)
    assert page.count("<code>") == 1
    assert len(said) == 2 and all(str(tmp_path / "one") in line for line in said)
