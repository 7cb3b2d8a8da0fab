"""Writes the sources of the site: the pages of docs/, and those that follow from the program.

    python docs/generate.py FOLDER

Nothing here knows a key, a verb, a hook or a network: they come from the schema, the help of the command line, the
hook specifications and ``sightsmith list``. README, changelog and the examples become pages too, so that the strict
build checks their links as well.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import json
import os
import posixpath
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from markup import code, markdown, table

from sightsmith.cli import main
from sightsmith.core.contracts.keys import format_override
from sightsmith.core.plugins import hookspecs
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.overrides import all_keys

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
EXAMPLES = ("sightsmith-timm", "sightsmith-keypoints")
RESULTS = ("sightsmith.engine.pipeline.result.Result", "sightsmith.engine.pipeline.predicted.Predictions",
           "sightsmith.engine.pipeline.predicted.PredictedImage", "sightsmith.core.contracts.prediction.Prediction",
           "sightsmith.core.contracts.prediction.PredictedObject", "sightsmith.engine.pipeline.evaluate.Evaluation",
           "sightsmith.engine.pipeline.evaluate.SplitEvaluation", "sightsmith.engine.pipeline.export.Export",
           "sightsmith.engine.pipeline.export.Parity", "sightsmith.engine.pipeline.inspect.Inspection",
           "sightsmith.engine.runs.listing.RunSummary", "sightsmith.core.contracts.plan.Plan")
"""What the functions of the package return."""
NOTEBOOKS = tuple(path.stem for path in sorted((DOCS / "notebooks").glob("*.ipynb")))
CONSTANTS = (str, int, float, tuple, frozenset)


def write_sources(folder: Path) -> None:
    """Replace ``folder`` by the sources of the site."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for path, write in PAGES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(write())
    for page in folder.rglob("*.md"):
        page.write_text(relinked(page.read_text(), page.relative_to(folder).as_posix()))


def relinked(text: str, page: str) -> str:
    """``text`` of ``page`` with its links to the folders of the examples leading to their pages."""
    start = posixpath.dirname(page)

    def link(found: re.Match[str]) -> str:
        target = re.fullmatch(r"(?:\.\./)*examples/([\w-]+)", found[1])
        return f"]({posixpath.relpath(f'examples/{target[1]}.md', start or '.')})" if target else found[0]

    return re.sub(r"\]\(([^)\s]+)\)", link, text)


def run(*arguments: str) -> str:
    """What ``sightsmith ARGUMENTS`` prints. Raises RuntimeError where it fails."""
    output = io.StringIO()
    with redirect_stdout(output), patch.dict(os.environ, COLUMNS="100"):
        try:
            main(arguments)
        except SystemExit as ended:
            if ended.code:
                raise RuntimeError(f"sightsmith {' '.join(arguments)} ended with {ended.code}") from ended
    return output.getvalue()


# What the program has


def configuration() -> str:
    """Every key of the schema, by group."""
    groups: dict[str, list[str]] = {}
    for key, field, tasks in all_keys(load_plugins()):
        group = key.rpartition(".")[0].partition(".")[0]
        of_task = " or ".join(code(f"task={name}") for name in tasks)
        facts = (code(field.type), _range(field), _default(field), of_task and f"with {of_task} only")
        entry = f"`{key}`\n:   {field.metadata['help']}<br>*{', '.join(filter(None, facts))}*\n"
        groups.setdefault(group, []).append(entry)
    parts = ["# Configuration\n", "Every key that you can set on the command line as `key=value`, with its type, its "
             "range or choices, and its default. A task, a network or a preset may bring other defaults: `--cfg job` "
             "shows what your command comes to. A key that does not exist, or a value out of range, is an error that "
             "names the nearest match and the range.\n"]
    for group, entries in groups.items():
        parts += [f"## {group or 'The run itself'}\n", *entries]
    return "\n".join(parts)


def _range(field: dataclasses.Field[Any]) -> str:
    low, high, choices = (field.metadata.get(name) for name in ("low", "high", "choices"))
    if choices:
        return "one of " + ", ".join(code(choice) for choice in choices if choice)
    if low is None:
        return ""
    return f"{low:g} or more" if high is None else f"{low:g} to {high:g}"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return "required" if field.default == "???" else f"default {code(format_override(field.default)) or 'empty'}"
    assert field.default_factory is not dataclasses.MISSING
    return f"default `{field.default_factory()}`"


def command_line() -> str:
    """The help of each verb."""
    usage = run("--help")
    parts = ["# Command line\n", f"```text\n{usage}```\n"]
    for verb in dict.fromkeys(re.findall(r"^ +sightsmith +([a-z]+)\b", usage, re.MULTILINE)):
        parts += [f"## sightsmith {verb}\n"]
        parts += ["Every key is in the [configuration reference](configuration.md).\n"] * (verb == "train")
        text = run(verb, "--help")
        parts += [f"```text\n{text.partition('key=value (')[0].rstrip() if verb == 'train' else text.rstrip()}\n```\n"]
    return "\n".join(parts)


def hooks() -> str:
    """Every hook, in the order of the specifications."""
    assert hookspecs.__doc__ is not None
    parts = ["# Hooks\n", markdown(hookspecs.__doc__)]
    for name, value in vars(hookspecs).items():
        if name.startswith("sightsmith_"):
            signature = re.sub(r"'", "", str(inspect.signature(value)))
            parts += [f"## `{name}`\n", f"```python\n{name}{signature}\n```\n", markdown(inspect.getdoc(value) or "")]
    return "\n\n".join(parts)


def python_api() -> str:
    parts = ["# Python API\n", *_module("sightsmith"), "## What they return\n", *map(_documented, RESULTS)]
    return "\n\n".join(parts)


def plugin_api() -> str:
    """All that a plugin may rely on."""
    return "\n\n".join(["# Plugin API\n", *_module("sightsmith.plugin"), *_module("sightsmith.testing")])


def _module(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    public = {entry: getattr(module, entry) for entry in module.__all__ if not entry.startswith("__")}
    constants = {entry: value for entry, value in public.items() if isinstance(value, CONSTANTS)}
    yield f"## {name}\n"
    yield markdown(inspect.getdoc(module) or "")
    yield from (_documented(f"{name}.{entry}") for entry in public if entry not in constants)
    if constants:
        yield "### Constants\n"
        yield table(("name", "value"), ((code(entry), code(repr(value))) for entry, value in constants.items()))


def _documented(name: str) -> str:
    return f"::: {name}\n    options: {{heading_level: 3}}\n"


def rows_of(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", kind, "--json"))
    return [row for row in found if "sightsmith " in row["provider"]]


def networks() -> str:
    parts = ["# Networks\n", "What `sightsmith list networks` shows. `network=NAME` chooses one; `network=mmdet` and "
             "`network=mmseg` take any configuration of the model zoos as `network.config`. Weights have licences of "
             "their own.\n"]
    tasks: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of("networks"):
        tasks.setdefault(row["task"], []).append(row)
    for task, rows in tasks.items():
        named = [row for row in rows if not row["config"]]
        parts += [f"## {task}\n", table(
            ("name", "annotation", "parameters", "input", "GFLOPs", "published score", "weights of", "licence"),
            ((code(row["name"]), row["annotation"], f"{row['parameters'] / 1e6:.1f} M", row["input_size"],
              row["gflops"], row["score"].replace(" ", "\u00a0"), row["published"] or "–", row["licence"])
             for row in named))]
        zoos: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row["config"]:
                zoos.setdefault(row["name"], []).append(row)
        parts += [f"`network={zoo}` takes {len(found)} configurations, of which {sum(map(_trainable, found))} can be "
                  f"trained: `sightsmith list networks --task {task} --all` has them, and why the others cannot.\n"
                  for zoo, found in zoos.items()]
    return "\n".join(parts)


def _trainable(row: dict[str, Any]) -> bool:
    return row["trainable"] is True


def presets() -> str:
    parts = ["# Presets\n", "What `sightsmith list presets` shows; with a preset's name after it, its whole card. "
             "[How to use one](../how-to/presets.md).\n"]
    for row in rows_of("presets"):
        facts = (("task", row["task"]), ("images", row["images"]), ("annotation", row["annotation"]),
                 ("classes", row["classes"]), ("cases", row["cases"]), ("network", row["network"]),
                 ("reference score", row["score"] or "none measured"), ("free keys", row["tunable"]),
                 ("licence", row["licence"]))
        parts += [f"## {row['name']}\n", f"{row['title']}: {row['description']}.\n",
                  table(("card", ""), (fact for fact in facts if fact[1]))]
    return "\n".join(parts)


def formats() -> str:
    rows = ((code(row["name"]), row["description"], code(row["layout"]), row["annotations"],
             "yes" if row["written"] else "") for row in rows_of("formats"))
    return "\n".join(["# Dataset formats\n", "What `sightsmith list formats` shows. `dataset.format=auto`, the "
                      "default, detects the format; [Data sets](data-sets.md) has the details.\n",
                      table(("name", "what it is", "layout", "annotation", "can be written"), rows)])


def tuners() -> str:
    rows = ((code(row["name"]), row["description"], row["trials"],
             " ".join(code(f"{key}={value}") for key, value in row["space"].items())) for row in rows_of("tuners"))
    return "\n".join(["# Tuners\n", "What `sightsmith list tuners` shows. [How to search](../how-to/search.md).\n",
                      table(("name", "what it does", "trials", "search space"), rows)])


# What stands elsewhere in the repository


def notebook(name: str) -> Callable[[], str]:
    def page() -> str:
        cells = json.loads((DOCS / "notebooks" / f"{name}.ipynb").read_text())["cells"]
        title, *others = ("".join(cell["source"]) for cell in cells)
        kinds = [cell["cell_type"] for cell in cells[1:]]
        parts = [text if kind == "markdown" else f"```python\n{text}\n```"
                 for kind, text in zip(kinds, others, strict=True)]
        return "\n\n".join([title, f"This page is a notebook: [{name}.ipynb]({name}.ipynb).", *parts])
    return page


def readme() -> str:
    text = (ROOT / "README.md").read_text()
    return text.replace("](docs/", "](").replace("](LICENSE)", "](licence.md)")


def changelog() -> str:
    parts = sorted((ROOT / "changelog").glob("*.md"), reverse=True)
    return "# Changelog\n\n" + "\n\n".join(re.sub(r"^#", "##", part.read_text(), flags=re.MULTILINE) for part in parts)


def licence() -> str:
    return f"# Licence\n\n```text\n{(ROOT / 'LICENSE').read_text()}\n```\n"


def example(name: str) -> Callable[[], str]:
    def page() -> str:
        folder = ROOT / "examples" / name
        return "\n\n".join([(folder / "README.md").read_text(), *_sources(folder)])
    return page


def _sources(folder: Path) -> Iterator[str]:
    languages = {".py": "python", ".yaml": "yaml", ".cfg": "ini", ".toml": "toml"}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.endswith(".egg-info") or part in ("build", "dist") for part in path.parts)
        if path.suffix in languages and not hidden and path.read_text().strip():
            yield f"## `{path.relative_to(folder).as_posix()}`\n\n```{languages[path.suffix]}\n{path.read_text()}```"


PAGES: dict[str, Callable[[], str]] = {
    "index.md": readme, "changelog.md": changelog, "licence.md": licence, "hooks.md": hooks,
    "reference/configuration.md": configuration, "reference/command-line.md": command_line,
    "reference/networks.md": networks, "reference/presets.md": presets, "reference/formats.md": formats,
    "reference/tuners.md": tuners,
    "reference/python.md": python_api, "reference/plugin-api.md": plugin_api,
    **{f"examples/{name}.md": example(name) for name in EXAMPLES},
    **{f"notebooks/{name}.md": notebook(name) for name in NOTEBOOKS},
}

if __name__ == "__main__":
    write_sources(Path(sys.argv[1]))
