"""Reports and pages in a browser: nothing is fetched, nothing overflows, on a desk and on a phone."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import subprocess

import pytest
from broken_datasets import picture
from command_line import refused, within
from small_runs import LABELS

import sightsmith
from sightsmith.engine.pipeline.evaluate import evaluate
from sightsmith.engine.report.predictions_page import Card, write_predictions_page

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=10000"]
FRAMES = """<!doctype html><meta charset="utf-8"><body>{frames}<script>
addEventListener("load", () => {{
  document.body.dataset.found = [...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument, images = [...page.images], width = page.documentElement.clientWidth;
    const wide = [...page.querySelectorAll("body *")].filter(item => !item.closest(".scroll") &&
      item.getBoundingClientRect().right > width + 1).length;
    return [page.documentElement.scrollWidth - width, wide, images.length,
            images.filter(image => !image.naturalWidth).length].join(",");
  }}).join(";");
}});
</script>"""
pytestmark = pytest.mark.skipif(CHROMIUM is None and os.environ.get("SIGHTSMITH_CHROMIUM") != "required",
                                reason="Chromium is not installed")


def look(page, tmp_path, widths=(1280, 390)):
    """For each width, by how many pixels the page is wider, how many elements reach out of it, how many pictures it
    has, and how many of these are broken."""
    text = page.read_text()
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", text)
    frames = "".join(f'<iframe width="{width}" height="900" style="border:0" srcdoc="{html.escape(text)}"></iframe>'
                     for width in widths)
    (tmp_path / "frames.html").write_text(FRAMES.format(frames=frames))
    done = subprocess.run([CHROMIUM, *FLAGS, "--window-size=1400,1000", f"--user-data-dir={tmp_path / 'profile'}",
                           "--dump-dom", f"file://{tmp_path / 'frames.html'}"], capture_output=True, text=True,
                          timeout=120)
    found = re.search(r'<body data-found="([^"]*)"', done.stdout)
    assert found, done.stdout[-500:] + done.stderr[-2000:]
    return [tuple(map(int, part.split(","))) for part in found[1].split(";")]


def assert_fits(page, tmp_path, pictures):
    for beyond, wide, images, broken in look(page, tmp_path):
        assert (beyond, wide, broken) == (0, 0, 0)
        assert images >= pictures


@pytest.mark.parametrize("run", ["digits", "boxes", "maps"], ids=["classification", "detection", "segmentation"])
def test_reports(request, run, tmp_path):
    result = request.getfixturevalue(run)
    assert_fits(result.report, tmp_path, 4)
    assert_fits(evaluate(result, output_dir=tmp_path / "evaluations").report, tmp_path, 4)


@pytest.mark.slow
def test_pages_of_data_and_of_runs(tmp_path):
    sightsmith.train([*LABELS, f"output_dir={tmp_path / 'runs'}", "name='<b>a&b'"])
    code, output, _ = within("list", "runs", "--output-dir", tmp_path / "runs")
    assert code == 0
    assert f"Page: {tmp_path / 'runs' / 'index.html'}" in output
    page = (tmp_path / "runs" / "index.html").read_text()
    assert "<polyline" in page and 'report/index.html"' in page and "<b>a" not in page
    assert_fits(tmp_path / "runs" / "index.html", tmp_path, 0)
    for task in ("classification", "detection", "segmentation"):
        code, _, errors = within("inspect", f"task={task}", "dataset.root=sample", "dataset.limit=40",
                                 "--html", tmp_path / task)
        assert code == 0, errors
        assert_fits(tmp_path / task / "index.html", tmp_path, 12)


def test_predictions_are_sorted_and_filtered_in_the_page(tmp_path, digits):
    images = tmp_path / "in #1"  # a name that a link has to escape
    for number in range(4):
        picture(images / f"{number} 50%.png", number)
    code, output, errors = within("predict", f"run={digits.run_dir}", f"input={images}",
                                  f"output_dir={tmp_path / 'out'}")
    assert code == 0, errors
    [folder] = (tmp_path / "out").iterdir()
    page = folder / "index.html"
    assert "4 images: " in output and str(page) in output
    assert_fits(page, folder, 4)
    with (folder / "predictions.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["image"] for row in rows] == [f"{number} 50%.png" for number in range(4)]
    scores = sorted(float(row["score"]) for row in rows)
    between = (scores[1] + scores[2]) / 2
    script = f"""<script>const form = document.querySelector("form");
form.sort.value = "falling"; form.low.value = "{between:f}"; form.dispatchEvent(new Event("input"));</script>"""
    (folder / "chosen.html").write_text(page.read_text() + script)
    done = subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                           f"file://{folder / 'chosen.html'}"], capture_output=True, text=True, timeout=120)
    assert '<output class="soft">2 of 4</output>' in done.stdout
    shown = re.findall(r'<figure data-found="([^"]*)"( hidden="")?>', done.stdout)
    assert [not hidden for _, hidden in shown] == [True, True, False, False]
    falling = [max(json.loads(html.unescape(found)).values()) for found, _ in shown]
    assert falling == pytest.approx(scores[::-1], abs=1e-6)


def test_any_name_of_a_class_can_be_chosen_in_the_page(tmp_path):
    classes = ("constructor", " two  spaces ", "a\n<b>")
    cards = [Card(f"{number}.png", found, "x.png", "x.jpg", (4, 4)) for number, found in
             enumerate([{classes[0]: 0.9}, {classes[1]: 0.8}, {classes[2]: 0.7}, {}])]
    write_predictions_page(tmp_path, "run", "in", "4 images", cards, classes, measure="score", problems=[], files=[],
                           shown="")
    script = """<script>const form = document.querySelector("form"), counts = [];
form.high.value = "";
for (const option of form.label.options) {
  form.label.value = option.value; form.dispatchEvent(new Event("input"));
  counts.push(form.querySelector("output").textContent);
}
document.body.dataset.counts = counts.join(";");</script>"""
    (tmp_path / "chosen.html").write_text((tmp_path / "index.html").read_text() + script)
    done = subprocess.run([CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
                           f"file://{tmp_path / 'chosen.html'}"], capture_output=True, text=True, timeout=120)
    assert 'data-counts="4 of 4;1 of 4;1 of 4;1 of 4;1 of 4"' in done.stdout


def test_a_data_set_with_errors_has_a_page_too(tmp_path):
    for number in range(3):
        picture(tmp_path / "set" / "cat" / f"{number}.png", number)
    (tmp_path / "set" / "cat" / "broken.png").write_text("<b>no picture")
    errors = refused("inspect", "task=classification", f"dataset.root={tmp_path / 'set'}", "--html", tmp_path / "page")
    assert "there is only one class" in errors
    page = (tmp_path / "page" / "index.html").read_text()
    assert "broken.png" in page and "there is only one class" in page
    assert_fits(tmp_path / "page" / "index.html", tmp_path, 3)
