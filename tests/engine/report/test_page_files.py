"""The files beside a page."""

from __future__ import annotations

import csv
import html
import re
from urllib.parse import unquote

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from sightsmith.core.contracts.report import Link, Picture, Section
from sightsmith.engine.report.page import SHOWN_ROWS, write_csv, write_page


def page_of(folder, *sections):
    write_page(folder, "title", "", "", [], sections)
    return (folder / "index.html").read_text()


def links(page):
    """The files that a page links."""
    return [unquote(html.unescape(link)) for link in re.findall(r'href="([^"]*)"', page)]


def assert_described(report):
    """Every file that the page links exists, every picture has a text, its name in sight, and its full size."""
    page = report.read_text()
    for link in links(page):
        assert (report.parent / link).exists(), link
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert figures
    for figure in figures:
        [text] = re.findall(r'<img [^>]*?alt="([^"]*)"', figure)
        [link] = links(figure)
        assert text and link
        if link.endswith(".jpg"):
            assert max(Image.open(report.parent / link).size) >= 480
    return page


@pytest.mark.parametrize(("cell", "written"), [
    ("=1+1.png", "'=1+1.png"), ("@SUM(A1)", "'@SUM(A1)"), ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
    ("-2+3+HYPERLINK(A1)", "'-2+3+HYPERLINK(A1)"), ("\t=1", "'\t=1"),
    ("+", "+"), ("-1", "-1"), ("a=b.png", "a=b.png"), (-0.5, "-0.5"), (None, "undefined"), ("é, \"x\"\n", "é, \"x\"\n"),
])
def test_a_spreadsheet_computes_no_text(tmp_path, cell, written):
    write_csv(tmp_path / "table.csv", [("name",), (cell,)])
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines)) == [["name"], [written]]


def test_a_picture_has_its_name_a_text_and_its_full_size(tmp_path):
    pixels = np.zeros((600, 900, 3), np.uint8)
    pixels[:, 450:] = 255
    pictures = (Picture(pixels, "score 0.90\nmissed", (((10, 10, 500, 500), (255, 0, 0), "a"),), name="a/<1> #2.png"),
                Picture(np.zeros((5, 4, 3), np.uint8), "", name="tiny.png"))
    page = page_of(tmp_path, Section("Examples", pictures=(("row", pictures),)))
    assert_described(tmp_path / "index.html")
    assert "<b>a/&lt;1&gt; #2.png</b>\nscore 0.90\nmissed</figcaption>" in page
    assert 'alt="a/&lt;1&gt; #2.png: score 0.90, missed"' in page and 'alt="tiny.png"' in page
    first, second = (Image.open(tmp_path / link) for link in links(page))
    assert (first.size, second.size) == ((900, 600), (384, 480))
    assert first.getpixel((800, 550)) == (255, 255, 255) and first.getpixel((10, 300))[0] > 200


def test_a_plot_says_what_it_shows_and_links_its_file(tmp_path):
    plots = [Figure(), Figure()]
    for plot, title in zip(plots, ("loss", "score"), strict=True):
        plot.subplots().set(title=title)
    page = page_of(tmp_path, Section("Training", figures=tuple(plots), name="training", rows=((1, 0.5),),
                                     header=("epoch", "loss"), sources=("../metrics #1.jsonl",)))
    assert 'alt="Training: loss"' in page and 'alt="Training: score"' in page
    assert links(page) == ["training-1.png", "training-2.png", "training.csv", "../metrics #1.jsonl"]


def test_a_cell_may_link_a_file_and_keeps_its_exact_value(tmp_path):
    page = page_of(tmp_path, Section("Trials", header=("trial", "loss", "images"), name="trials",
                                     rows=((Link("<3>", "../3: a/x.html"), 0.123456789, 1080),)))
    assert '<a href="../3%3A%20a/x.html">&lt;3&gt;</a>' in page
    assert '<td data-value="0.123456789">0.1235</td>' in page and '<td data-value="1080">1,080</td>' in page
    assert list(csv.reader((tmp_path / "trials.csv").open()))[1] == ["<3>", "0.123456789", "1080"]


def test_a_very_long_table_is_in_its_file(tmp_path):
    rows = tuple((f"{number}.png",) for number in range(SHOWN_ROWS + 5))
    page = page_of(tmp_path, Section("Images", header=("image",), rows=rows, name="images"))
    assert page.count(".png</td>") == SHOWN_ROWS
    assert "The first 2,000 of 2,005 rows are shown. images.csv has all." in page
    assert len((tmp_path / "images.csv").read_text().splitlines()) == SHOWN_ROWS + 6


@pytest.mark.parametrize(("run", "counts"), [("digits", "; 20 images<"), ("boxes", " objects in 6 images<"),
                                             ("maps", "; 6 images<")])
def test_reports_describe_their_pictures_and_list_every_image(request, run, counts, evaluated):
    result = request.getfixturevalue(run)
    evaluation = evaluated(run, result)
    for report, table in ((result.report, "images"), (evaluation, "validation-images")):
        page = assert_described(report)
        rows = list(csv.DictReader((report.parent / f"{table}.csv").open()))
        assert len({row["image"] for row in rows}) == (20 if run == "digits" else 6)
        assert f"{table}.csv" in links(page)
        for command in (f"predict run={result.run_dir} input=FOLDER", f"export run={result.run_dir} format=onnx",
                        f"evaluate run={result.run_dir} dataset.root=FOLDER",
                        f"train flow=retrain base_run={result.run_dir} dataset.root=FOLDER"):
            assert f"<code>sightsmith {command}</code>" in page
    assert counts in evaluation.read_text()
    own = links(result.report.read_text())
    assert {"../config.yaml", "../model", "../checkpoints/best/model.safetensors", "../train.log"} <= set(own)
    assert any(link.endswith("/config.yaml") for link in links(evaluation.read_text()))
