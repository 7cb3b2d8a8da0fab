"""Reports and pages in a browser: nothing is fetched, nothing overflows, on a desk and on a phone."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from broken_datasets import picture
from command_line import refused, within
from fake_runs import fake_runs
from matplotlib.figure import Figure
from small_runs import LABELS

import sightsmith
from sightsmith.core.contracts.report import Picture, Section
from sightsmith.engine.report.page import write_page
from sightsmith.engine.report.predictions_page import Card, write_predictions_page
from sightsmith.engine.report.runs_page import write_runs_page
from sightsmith.plugins.commands.listing import rows

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


def after(page, script, *flags):
    """The page as it is once ``script`` has run in it, which follows its own."""
    changed = page.with_name("changed.html")
    changed.write_text(page.read_text() + f'<script>addEventListener("load", () => {{{script}}});</script>')
    done = subprocess.run([CHROMIUM, *FLAGS, *flags, f"--user-data-dir={page.parent / 'profile'}", "--dump-dom",
                           f"file://{changed}"], capture_output=True, text=True, timeout=120)
    return done.stdout


def said(dom):
    """What the script has left in ``document.body.dataset.said``, a list."""
    return json.loads(html.unescape(re.search(r'data-said="([^"]*)"', dom)[1]))


def assert_fits(page, tmp_path, pictures):
    for beyond, wide, images, broken in look(page, tmp_path):
        assert (beyond, wide, broken) == (0, 0, 0)
        assert images >= pictures


@pytest.mark.parametrize("run", ["digits", "boxes", "maps"], ids=["classification", "detection", "segmentation"])
def test_reports(request, run, evaluated, tmp_path):
    result = request.getfixturevalue(run)
    assert_fits(result.report, tmp_path, 4)
    assert_fits(evaluated(run, result), tmp_path, 4)


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
    place = max(range(1, 4), key=lambda number: scores[number] - scores[number - 1])  # they may be close to each other
    between, count = (scores[place - 1] + scores[place]) / 2, 4 - place
    dom = after(page, f"""const form = document.querySelector("form");
form.sort.value = "falling"; form.low.value = "{between:.8f}"; form.dispatchEvent(new Event("input"));""")
    assert f'<output class="soft">{count} of 4</output>' in dom
    shown = re.findall(r'<figure data-found="([^"]*)"( hidden="")?>', dom)
    assert [not hidden for _, hidden in shown] == [True] * count + [False] * place
    falling = [max(json.loads(html.unescape(found)).values()) for found, _ in shown]
    assert falling == pytest.approx(scores[::-1], abs=1e-6)


def test_any_name_of_a_class_can_be_chosen_in_the_page(tmp_path):
    classes = ("constructor", " two  spaces ", "a\n<b>")
    cards = [Card(f"{number}.png", found, "x.png", "x.jpg", (4, 4)) for number, found in
             enumerate([{classes[0]: 0.9}, {classes[1]: 0.8}, {classes[2]: 0.7}, {}])]
    write_predictions_page(tmp_path, "run", "in", "4 images", cards, classes, measure="score", problems=[], files=[],
                           shown="")
    dom = after(tmp_path / "index.html", """const form = document.querySelector("form"), counts = [];
form.high.value = "";
for (const option of form.label.options) {
  form.label.value = option.value; form.dispatchEvent(new Event("input"));
  counts.push(form.querySelector("output").textContent);
}
document.body.dataset.said = JSON.stringify(counts);""")
    assert said(dom) == ["4 of 4", "1 of 4", "1 of 4", "1 of 4", "1 of 4"]


HOSTILE = ("constructor", "</script><b>", "a\nb", "__proto__")


def test_a_table_is_sorted_searched_and_filtered_in_the_page(tmp_path):
    cells = tuple((f"{number}.png", HOSTILE[number % 4], None if number == 3 else number / 7, 1000 + number)
                 for number in range(24))
    write_page(tmp_path, "t", "", "", [], [Section("Images", header=("image", "class", "Dice", "pixels"), rows=cells,
                                                   name="images", filters=("class",))])
    dom = after(tmp_path / "index.html", """
const table = document.querySelector("table"), form = document.querySelector(".choose");
const heads = table.querySelectorAll("th button");
const shown = () => [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[0].textContent);
const found = [];
heads[2].click(); found.push(shown().slice(0, 2), shown().at(-1), heads[2].parentNode.ariaSort);
heads[2].click(); found.push(shown()[0], shown().at(-1), heads[2].parentNode.ariaSort);
heads[0].click(); found.push(shown().slice(0, 3));
const select = form.querySelector("select"), search = form.querySelector("input");
found.push([...select.options].map(option => option.textContent).length);
for (let place = 0; place < select.options.length; place++) {
  select.selectedIndex = place; form.dispatchEvent(new Event("input", { bubbles: true }));
  found.push(form.querySelector("output").textContent);
}
select.selectedIndex = 0; search.value = " <\\/SCRIPT> "; form.dispatchEvent(new Event("input"));
found.push(shown().length);
document.body.dataset.said = JSON.stringify(found);""")
    assert said(dom) == [["0.png", "1.png"], "3.png", "ascending", "23.png", "3.png", "descending",
                         ["0.png", "1.png", "2.png"], 5, "24 of 24", "6 of 24", "6 of 24", "6 of 24", "6 of 24", 6]


def test_a_picture_opens_in_full_size_without_a_network(tmp_path):
    pixels = np.zeros((300, 500, 3), np.uint8)
    row = (Picture(pixels, "one", name="</script>.png"), Picture(pixels, "two", name="b.png"))
    write_page(tmp_path, "t", "", "", [], [Section("Examples", pictures=(("", row),))])
    (tmp_path / "pictures" / "1-2.jpg").unlink()  # as if the page alone were kept
    dom = after(tmp_path / "index.html", """
const links = document.querySelectorAll("a.full"), viewer = document.querySelector("dialog"), found = [];
const press = key => viewer.dispatchEvent(new KeyboardEvent("keydown", { key }));
links[0].click();
const picture = viewer.querySelector("img");
found.push(viewer.matches(":modal"), picture.alt, viewer.querySelector("p").textContent);
setTimeout(() => {
  found.push(picture.naturalWidth);
  press("ArrowRight");
  setTimeout(() => {
    found.push(picture.alt, picture.naturalWidth);
    press("ArrowRight");
    found.push(picture.alt);
    viewer.querySelector("[name=close]").click();
    found.push(viewer.open);
    document.body.dataset.said = JSON.stringify(found);
  }, 500);
}, 500);""")
    assert said(dom) == [True, "</script>.png: one", "</script>.png: one", 500, "b.png: two", 120,
                         "</script>.png: one", False]


def test_a_wide_table_says_on_a_phone_that_there_is_more(tmp_path):
    header = tuple(f"column {number}" for number in range(12))
    plots = tuple(Figure(figsize=(4.6, 3)) for _ in range(2))
    write_page(tmp_path, "t", "", "", [], [Section("Wide", header=header, rows=(tuple(range(12)),), name="wide"),
                                           Section("Small", header=header[:2], rows=((1, 2),), name="small"),
                                           Section("Plots", figures=plots, name="plots")])
    frames = "".join(f'<iframe width="{width}" height="900" src="index.html"></iframe>' for width in (390, 1280))
    (tmp_path / "both.html").write_text(f"<body>{frames}")
    dom = after(tmp_path / "both.html", """
setTimeout(() => {
  document.body.dataset.said = JSON.stringify([...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, plots = [...page.querySelectorAll(".plots img")];
    return [[...page.querySelectorAll(".more")].map(cue => frame.contentWindow.getComputedStyle(cue).display),
            new Set(plots.map(plot => plot.getBoundingClientRect().left)).size];
  }));
}, 500);""", "--allow-file-access-from-files")
    assert said(dom) == [[["block", "none"], 1], [["none", "none"], 2]]


def test_what_is_printed_is_whole(tmp_path):
    """Its rules for print, applied on a screen as wide as what A4 holds, and a scrollbar."""
    header = tuple(f"{name} of class" for name in ("precision", "recall", "specificity", "accuracy", "dice", "AUC") * 2)
    rows = tuple((0.123456, *range(11)) for _ in range(24))
    row = tuple(Picture(np.zeros((9, 9, 3), np.uint8), "", name=f"{number}.png") for number in range(6))
    key, value = "augment.color_jitter.saturation", str({f"key {number}": number for number in range(50)})
    write_page(tmp_path, "t", "", "", [], [
        Section("Per class", header=header, rows=rows, name="per-class"),
        Section("Examples", pictures=(("row", row),)),
        Section("Hyperparameters", header=("hyperparameter", "value", "from"), rows=((key, 0, "you"), ("b", value, "")),
                name="keys")])
    (tmp_path / "paper.html").write_text('<body><iframe width="718" height="900" src="index.html"></iframe>')
    dom = after(tmp_path / "paper.html", """
const page = document.querySelector("iframe").contentDocument, style = page.defaultView.getComputedStyle;
for (const sheet of page.styleSheets)
  for (const rule of sheet.cssRules) if (rule.media?.mediaText === "print") rule.media.mediaText = "all";
const table = page.querySelector("table"), tops = [...page.querySelectorAll("figure")].map(item => item.offsetTop);
document.body.dataset.said = JSON.stringify([table.scrollWidth <= table.closest("section").clientWidth,
  style(page.querySelector(".scroll")).maxHeight, style(page.querySelector(".choose")).display,
  style(page.querySelector("section")).breakInside, style(page.querySelector(".row")).breakInside,
  new Set(tops).size, [...page.querySelectorAll("td")].find(cell => cell.textContent === KEY).offsetHeight < 40]);
""".replace("KEY", json.dumps(key)), "--allow-file-access-from-files")
    assert said(dom) == [True, "none", "none", "avoid", "avoid", 1, True]


def test_runs_are_filtered_and_compared_in_the_page(tmp_path, plugins):
    fake_runs(tmp_path)
    write_runs_page(tmp_path, rows("runs", plugins, output_dir=tmp_path), plugins)
    assert_fits(tmp_path / "index.html", tmp_path, 0)
    dom = after(tmp_path / "index.html", """
const found = [], form = document.querySelector(".choose"), table = document.querySelector(".runs");
const shown = () => [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[1].textContent);
const [status, task, network] = form.querySelectorAll("select");
found.push([...status.options].map(option => option.textContent));
status.value = [...status.options].find(option => option.textContent === "stopped").value;
form.dispatchEvent(new Event("input")); found.push(shown());
status.value = ""; form.querySelector("input").value = "finished";
form.dispatchEvent(new Event("input")); found.push(shown());
const compare = document.querySelector(".comparison"), boxes = table.querySelectorAll("input");
boxes[0].click(); found.push(compare.hidden);
boxes[1].click(); found.push(compare.hidden);
found.push([...compare.querySelectorAll("tr")].map(row => [...row.cells].map(cell => cell.textContent)));
document.body.dataset.said = JSON.stringify(found);""")
    states, stopped, searched, one, two, compared = said(dom)
    assert states == ["all", "error", "finished", "paused", "stopped"]
    assert (stopped, searched, one, two) == (["c-stopped", "a-sweep/1"], ["b-finished"], True, False)
    assert compared == [["", "b-finished", "c-stopped"], ["accuracy", "0.7500", "0.5000"], ["loss", "0.2000", "0.9000"],
                        ["train loss", "1.0000", "1.0000"], ["hyper.learning_rate", "0.01", "0.1"],
                        ["name", "</script><b>", "c"]]


def test_a_data_set_with_errors_has_a_page_too(tmp_path):
    for number in range(3):
        picture(tmp_path / "set" / "cat" / f"{number}.png", number)
    (tmp_path / "set" / "cat" / "broken.png").write_text("<b>no picture")
    errors = refused("inspect", "task=classification", f"dataset.root={tmp_path / 'set'}", "--html", tmp_path / "page")
    assert "there is only one class" in errors
    page = (tmp_path / "page" / "index.html").read_text()
    assert "broken.png" in page and "there is only one class" in page
    assert_fits(tmp_path / "page" / "index.html", tmp_path, 3)
