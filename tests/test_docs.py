"""The README and the pages of docs/: every command and every key in them exists."""

from __future__ import annotations

import io
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import pytest
from check_links import problems
from generate import PAGES, relinked
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from sightsmith.cli import main
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.literal import as_typed
from sightsmith.engine.config.overrides import all_keys

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES_BY_HAND = [README, *sorted((ROOT / "docs").rglob("*.md"))]
GROUPS = {"task", "network", "logger", "preset", "tuner", "base_run"}
RENAMED = re.compile(
    r"hyper\.(backbone_rate|ema\b(?!_)|clip_norm|step_factor|step_epochs)|augment\.quarter_turns|"
    r"trainer\.(accumulate|workers|stop_epoch|parent|hang_minutes)|limits\.(jobs|least_jobs)|tuner\.jobs\b|network\.rename\b|"
    r"\bsource=runs|source\.(replay|distillation|path)|list datasets")
PLACEHOLDERS = re.compile(r"\.yaml$|^base_run=|^preset=my_")
"""Of an override that names what is not there yet."""


def commands(page):
    """Each ``sightsmith`` command of the code blocks of ``page``, in words."""
    for block in re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            found = re.match(r"\s*(?:\$ )?(?:! )?(?:(?:torchrun|accelerate launch) .*-m )?(sightsmith .*)", line)
            if found:
                yield found[1]


def words(command):
    return shlex.split(re.sub(r"\$\([^)]*\)", "RUN", command), comments=True)[1:]


FIRST_PAGES = {command: page for page in reversed(PAGES_BY_HAND) for command in commands(page)}
COMMANDS = [pytest.param(words(command), id=f"{page.stem}: {command[:60]}") for command, page in FIRST_PAGES.items()]


@cache
def keys():
    return {key: entry for key, entry, _ in all_keys(load_plugins())}


def is_known(key):
    """Whether ``key`` is of the schema, a group, or below a key that holds options of any name."""
    return key in keys() or key in GROUPS or key.startswith("hydra") or any(
        key.startswith(f"{name}.") for name, entry in keys().items() if str(entry.type).startswith("dict"))


@cache
def printed(*arguments):
    """What the command line, in this process, prints."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert not ended.value.code, errors.getvalue()
    return output.getvalue()


def single(override):
    """``override`` with the first value of its sweep."""
    [parsed] = OverridesParser.create().parse_overrides([override])
    if not parsed.is_sweep_override():
        return override
    values = [parsed.value().start] if not parsed.is_discrete_sweep() else list(parsed.sweep_string_iterator())
    return f"{parsed.get_key_element()}={values[0]}"


def test_there_are_commands():
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_possible(command):
    verb, *arguments = command
    flags = [text for text in arguments if text.startswith("--") and text not in ("--multirun", "--help")]
    overrides = [text for text in arguments if "=" in text and not text.startswith("-")]
    help_text = printed(verb, "--help")
    for flag in flags:
        assert flag in help_text, f"sightsmith {verb} has no {flag}"
    if verb not in ("train", "inspect"):
        for text in overrides:
            assert text.partition("=")[0] in help_text, f"sightsmith {verb} --help knows no {text}"
        return
    if any(text.startswith("dataset=") for text in overrides):  # which finds the task
        overrides = ["task=classification", *(re.sub("^dataset=", "dataset.root=", text) for text in overrides)]
    composed = as_typed([text for text in overrides if not text.startswith(
        ("convert=", "convert_dir=", "augmentations="))], load_plugins(), multirun="--multirun" in arguments)
    for parsed in OverridesParser.create().parse_overrides(composed):
        assert is_known(parsed.key_or_group), parsed.input_line
    own_file = "--config-name" in arguments  # that a reader has
    if overrides and not own_file and not any(PLACEHOLDERS.search(text) for text in composed):
        launchers = ("hydra/launcher", "hydra.launcher")  # of packages that need not be installed
        printed("train", *(single(text) for text in composed if not text.startswith(launchers)), "--cfg", "job")


@pytest.mark.parametrize("page", PAGES_BY_HAND, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_keys_exist(page):
    text = page.read_text()
    assert not RENAMED.search(text), RENAMED.search(text)
    groups = {key.partition(".")[0] for key in keys() if "." in key}
    for span in re.findall(r"`([^`\n]+)`", text):
        found = re.match(r"\+?([a-z_]+)\.([a-z_0-9]+(?:\.[a-z_0-9]+)*)(?==|$)", span)
        if found and found[1] in groups and not span.endswith((".json", ".yaml", ".csv", ".py")):
            assert is_known(f"{found[1]}.{found[2]}"), span


def test_the_readme_is_short_and_has_a_picture():
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    [picture] = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    path = ROOT / picture
    assert path.stat().st_size < 250_000
    assert Image.open(path).width == 1280


def test_links_of_markdown_lead_to_files_or_generated_pages():
    for page in [*PAGES_BY_HAND, *(ROOT / "examples").glob("*/README.md"), *(ROOT / "changelog").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
            target = (page.parent / link).resolve()
            generated = target.is_relative_to(ROOT / "docs") and target.relative_to(ROOT / "docs").as_posix() in PAGES
            assert link.startswith("http") or target.exists() or generated, f"{page}: {link}"


def test_the_configuration_reference_has_every_key():
    page = PAGES["reference/configuration.md"]()
    assert sorted(re.findall(r"^`([\w.]+)`$", page, re.MULTILINE)) == sorted(keys())
    assert "`hyper.epochs`\n:   passes over the training images<br>*`int`, 1 or more, default `100`*" in page
    assert "one of `sgd`, `adam`, `adamw`, default `sgd`" in page


def test_the_command_line_reference_has_every_verb():
    page = PAGES["reference/command-line.md"]()
    verbs = re.findall(r"^## sightsmith (\w+)$", page, re.MULTILINE)
    assert {command.values[0][0] for command in COMMANDS} <= set(verbs)
    assert "--html FOLDER" in page


def test_the_api_pages_name_what_is_public():
    page = PAGES["reference/python.md"]()
    for name in ("sightsmith.load", "sightsmith.train", "sightsmith.engine.pipeline.result.Result"):
        assert f"::: {name}\n" in page
    page = PAGES["reference/plugin-api.md"]()
    for name in ("sightsmith.plugin.Task", "sightsmith.plugin.NetworkRecord", "sightsmith.testing.PluginConformance"):
        assert f"::: {name}\n" in page


@pytest.mark.parametrize(("page", "line"), [
    ("networks", "| `resnet18` | labels | 11.7 M | 224 |"), ("presets", "## pneumothorax\n"),
    ("formats", "| `label_csv` |"), ("tuners", "| `pbt` | population based training")])
def test_lists_come_from_the_program(page, line):
    assert line in PAGES[f"reference/{page}.md"]()


def test_links_to_examples_lead_to_their_pages():
    assert relinked("[a](../../examples/some)", "how-to/plugins.md") == "[a](../examples/some.md)"
    assert relinked("[a](examples/some) [b](b.md)", "index.md") == "[a](examples/some.md) [b](b.md)"


def test_the_link_checker_finds_what_is_broken(tmp_path):
    (tmp_path / "b.html").write_text("<h1 id='here'></h1>")
    (tmp_path / "a.html").write_text("<a href='b.html#here'></a><a href='https://a.org/'></a><a href='#x' id='x'></a>")
    assert not list(problems(tmp_path))
    (tmp_path / "a.html").write_text(
        "<a href='c.html'></a><a href='b.html#there'></a><img src='d.png'><script src='https://a.org/x.js'></script>"
        "<a href='https://nowhere'></a>")
    assert [line.split(": ", 1)[1] for line in problems(tmp_path)] == [
        "b.html#there: there is no such anchor", "c.html: there is no such file", "d.png: there is no such file",
        "https://a.org/x.js: is fetched from another site", "https://nowhere: is no web address"]
    assert list(problems(tmp_path / "empty")) == [f"{tmp_path / 'empty'} has no page"]
