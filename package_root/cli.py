"""The command line: ``sightsmith VERB ...``. Nothing heavy is imported until a verb needs it.

Exit codes: 0 done; 1 a defect or a failed run; 2 a mistake that the user can mend; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import sightsmith
from sightsmith.core.util.errors import (
    ExportError,
    FailedRunsError,
    HungError,
    NonFiniteLossError,
    StoppedError,
    UserError,
    near,
)

USAGE = """\
sightsmith trains computer-vision models on your own images.

  sightsmith train    task=classification dataset.root=photos    train, evaluate, report
  sightsmith inspect  task=classification dataset.root=photos    check the data set only
  sightsmith evaluate run=runs/... [dataset.root=photos]         a run against labelled images: report and figures
  sightsmith predict  run=runs/... input=photos [format=labelme] what a run says: JSON, pictures, annotation
  sightsmith export   run=runs/... format=onnx                   a file that other programs run, compared first
  sightsmith serve    run=runs/... [port=8000]                    the same over HTTP
  sightsmith verify   run=runs/... [rerun=true] [--json]          a run against its lock; train it again
  sightsmith list     networks|presets|formats|tuners|tasks|loggers|plugins|runs [--task T] [--json]
  sightsmith preset   create run=runs/... name=NAME               a preset with its weights from a run
  sightsmith doctor   [--json]                                    versions, devices, what is missing
  sightsmith completion                                           for bash: eval "$(sightsmith completion)"

`sightsmith VERB --help` tells more; `sightsmith train --help` shows every key.
Exit codes: 0 done, 1 failed, 2 a mistake to mend, 130 stopped (the run can be resumed).
"""


Number = TypeVar("Number", int, float)
CONVERT = ("convert=", "convert_dir=")
RERUN = "--experimental-rerun"
"""Hydra's own, which takes its shortenings too."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        sys.exit(0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        print(f"sightsmith {sightsmith.__version__}")
        sys.exit(0)
    verb, *rest = arguments
    if verb not in VERBS:
        print(f"sightsmith: there is no command {verb!r}.{near(verb, VERBS)}\n\n{USAGE}", file=sys.stderr, end="")
        sys.exit(2)
    try:
        sys.exit(VERBS[verb](rest))
    except UserError as error:
        print(error.text(), file=sys.stderr)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, StoppedError):
        sys.exit(130)
    except NonFiniteLossError as error:
        print(f"Training stopped: {error}\nTry a smaller hyper.learning_rate, hyper.clip_grad_norm=1, or "
              "trainer.precision=fp32.", file=sys.stderr)
        sys.exit(1)
    except (HungError, FailedRunsError, ExportError) as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `sightsmith list networks | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _train(arguments: list[str]) -> int:
    """The Hydra application. Hydra's own errors come out as ours, with exit code 2."""
    if not arguments or "--help" in arguments or "-h" in arguments:
        from sightsmith.plugins.commands.listing import print_train_help

        print_train_help()
        return 0 if arguments else 2

    if "--json" in arguments:
        return _train_as_json([text for text in arguments if text != "--json"])

    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from sightsmith.core.config.compose import explain, install

    if any(len(text) > 2 and RERUN.startswith(text.partition("=")[0]) for text in arguments):
        raise UserError(f"{RERUN} would unpickle a file, which can execute code",
                        hint="a finished run is trained again by `sightsmith verify run=DIR rerun=true`")
    overrides = [text for text in arguments if _is_override(text)]
    if "query=bash" in overrides:
        from sightsmith.core.plugins.manager import load_plugins
        from sightsmith.plugins.commands.bash import prepare_query

        prepare_query(next(iter(load_plugins().tasks)))
    install(overrides)
    # Hydra would print an error and exit with 1; this makes it raise instead.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # Hydra wants its flags on one side of the overrides.
    sys.argv = ["sightsmith train", *(text for text in arguments if not _is_override(text)), *overrides]

    ended: list[Exception] = []

    @hydra.main(version_base="1.3", config_path=None, config_name="config")
    def application(composed: DictConfig) -> float | None:
        from sightsmith.engine.search.application import run_composed

        try:
            return run_composed(composed)
        except (UserError, OmegaConfBaseException, NonFiniteLossError, StoppedError, HungError) as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            ended.append(error)  # past Hydra, which would print the overrides before it
            return None

    try:
        application()
        if ended:
            raise ended[0]
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, overrides) from error
    return 0


def _is_override(text: str) -> bool:
    return text.startswith("~") or ("=" in text and not text.startswith("-"))


def _train_as_json(overrides: list[str]) -> int:
    """One run, or a search, whose best run is told."""
    if flags := [text for text in overrides if not _is_override(text)]:
        raise UserError(f"--json goes with KEY=VALUE alone, not with {', '.join(flags)}",
                        hint="a sweep by hand has its table in sweep.csv")

    from sightsmith.engine.search.application import train

    with _stdout_as_stderr():
        result = train(overrides)
    print(json.dumps({"run": str(result.run_dir), "report": str(result.report), "score": result.task.score,
                      "metrics": result.metrics}, indent=2))
    return 0


def _inspect(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sightsmith inspect", description="Read and check a data set as `train` does it first; trains nothing. "
        "With convert=FORMAT, write it in another format, too.",
        epilog="example: sightsmith inspect task=detection dataset.root=photos --html photos-report")
    parser.add_argument("overrides", nargs="*", help="task=... dataset.root=... and any other key of `train`; "
                        "convert=FORMAT (`sightsmith list formats`), convert_dir=FOLDER [./NAME-FORMAT]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--html", type=Path, metavar="FOLDER", help="write a page with problems, figures, images that "
                        "look alike, and a contact sheet of each class into this new folder")
    options = parser.parse_intermixed_args(arguments)
    if options.html is not None and options.html.exists():
        parser.error(f"{options.html} exists already, and nothing is overwritten")

    from sightsmith.core.config.compose import compose
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.core.util.files import ensure_writable, make_folder
    from sightsmith.engine.data.near_duplicates import near_duplicates
    from sightsmith.engine.data.statistics import describe
    from sightsmith.engine.pipeline.load_dataset import check
    from sightsmith.plugins.commands.listing import print_dataset

    quiet: Callable[[str], None] = (lambda line: None) if options.json else print
    if options.html is not None:
        ensure_writable(options.html)
    plugins = load_plugins()
    given = dict(text.partition("=")[::2] for text in options.overrides if text.startswith(CONVERT))
    config = compose([text for text in options.overrides if not text.startswith(CONVERT)])
    dataset = check(config, plugins, quiet)
    plugins.dataset_checked(dataset=dataset)
    pairs = near_duplicates(dataset.index.samples, config.image)
    if options.html is not None:
        from sightsmith.engine.report.inspect_page import write_inspect_page

        make_folder(options.html.parent)
        quiet(f"Page: {write_inspect_page(options.html, dataset, pairs, config.image)}")
    if options.json:
        print(json.dumps(describe(dataset) | {"look_alike": [pair.to_json() for pair in pairs]}, indent=2,
                         ensure_ascii=False))
        if any(problem.severity == "error" for problem in dataset.problems):
            return 2
    else:
        print_dataset(dataset)
        if pairs:
            print(f"{len(pairs)} pairs of images look alike, such as {pairs[0].first.key} and {pairs[0].second.key}: "
                  "--html FOLDER shows them")
        dataset.raise_for_errors()
    if "convert" in given:
        from sightsmith.engine.data.write import find_writer, write_dataset
        from sightsmith.engine.pipeline.load_dataset import check_judged

        whole = check_judged(config, plugins, lambda line: None)  # with the images for the test
        writer = find_writer(given["convert"], plugins.dataset_formats, whole.index.annotation)
        folder = Path(given.get("convert_dir", f"{whole.index.root.name}-{writer.name}")).expanduser().resolve()
        for line in (*write_dataset(whole.index, whole.infos, writer, folder), f"Written as {writer.name}: {folder}"):
            quiet(line)
    return 0


def _evaluate(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sightsmith evaluate", description="Judge a finished run by labelled images, those of each split by "
        "themselves: figures with confidence intervals, and a report. Without dataset.root by those of its training. "
        "Classes are matched by name.",
        epilog="example: sightsmith evaluate run=runs/2026-01-31_12-00-00-classification dataset.root=new_photos")
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE",
                        help="run=DIR, the run's folder; dataset.root=FOLDER, and how to read it: dataset.format, "
                        "dataset.group_by; split=NAME, for one alone; output_dir=FOLDER [RUN/evaluations]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_intermixed_args(arguments)

    from sightsmith.core.util.console import console
    from sightsmith.engine.pipeline.evaluate import SETTINGS, evaluate
    from sightsmith.engine.pipeline.result import Result

    given = _settings(parser, options.settings, {"run": "DIR"}, ("split", "output_dir", *SETTINGS))
    output_dir = _output_dir(given)
    result = Result.load(Path(given["run"]).expanduser())
    with _stdout_as_stderr() if options.json else nullcontext():
        evaluation = evaluate(result, {key: given[key] for key in SETTINGS if key in given}, given.get("split"),
                              output_dir)
    if options.json:
        print(json.dumps({"report": str(evaluation.report), "splits": evaluation.to_json()}, indent=2))
    else:
        console().print(evaluation.table())
        print(f"Report: {evaluation.report}")
    return 0


def _predict(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sightsmith predict", description="What a finished run says of images: predictions.json, pictures with it "
        "drawn, and annotation in a format that a person can correct and `train` reads.",
        epilog="example: sightsmith predict run=runs/2026-01-31_12-00-00-detection input=photos format=labelme")
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE",
                        help="run=DIR, the run's folder; input=PATH, an image, a folder or a zip; format=NAME, of the "
                        "annotation (`sightsmith list formats`); min_score=0.3, of the objects that are drawn and "
                        "annotated; pictures=false, for none; heatmaps=true, of a classifier; output_dir=FOLDER "
                        "[RUN/predictions]")
    parser.add_argument("--json", action="store_true", help="print what predictions.json says")
    options = parser.parse_intermixed_args(arguments)

    from sightsmith.engine.pipeline.predict_files import FILE, MIN_SCORE, PredictOptions, predict_files
    from sightsmith.engine.pipeline.result import Result

    given = _settings(parser, options.settings, {"run": "DIR", "input": "PATH"},
                      ("format", "min_score", "pictures", "heatmaps", "output_dir"))
    pictures, heatmaps = _flag(parser, given, "pictures", usual="true"), _flag(parser, given, "heatmaps")
    wanted = PredictOptions(_number(parser, given, "min_score", MIN_SCORE, 0, 1), pictures, heatmaps,
                            given.get("format"))
    output_dir = _output_dir(given)
    result = Result.load(Path(given["run"]).expanduser())
    with _stdout_as_stderr() if options.json else nullcontext():
        folder, said = predict_files(result, given["input"], wanted, output_dir)
    if options.json:
        print((folder / FILE).read_text(), end="")
    else:
        print(*said, f"Predictions: {folder / FILE}", sep="\n")
    return 0


def _export(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sightsmith export", description="Write a finished run's model as a file that other programs run, with a "
        "card that says how to feed it and, for ONNX, a script that needs onnxruntime alone. It is compared with the "
        "original on the validation images: where its outputs differ or its score is lower, nothing is written and "
        "the exit code is 1. ONNX needs `pip install 'sightsmith[export]'`.",
        epilog="example: sightsmith export run=runs/2026-01-31_12-00-00-classification format=onnx")
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE",
                        help="run=DIR, the run's folder; format=onnx or torchscript; tolerance=0.001, of an output; "
                        "dataset.root=FOLDER, to compare on other labelled images, and how to read it: dataset.format, "
                        "dataset.group_by; output_dir=FOLDER [RUN/exports]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_intermixed_args(arguments)

    from sightsmith.engine.pipeline.evaluate import SETTINGS
    from sightsmith.engine.pipeline.export import TOLERANCE, export
    from sightsmith.engine.pipeline.result import Result

    given = _settings(parser, options.settings, {"run": "DIR", "format": "onnx"},
                      ("tolerance", "output_dir", *SETTINGS))
    tolerance = _number(parser, given, "tolerance", TOLERANCE, 0, 1)
    output_dir = _output_dir(given)
    result = Result.load(Path(given["run"]).expanduser())
    with _stdout_as_stderr() if options.json else nullcontext():
        exported = export(result, given["format"], {key: given[key] for key in SETTINGS if key in given}, tolerance,
                          output_dir)
    if options.json:
        print(json.dumps({"folder": str(exported.folder), **asdict(exported.compared)}, indent=2))
    else:
        print(*exported.lines(), sep="\n")
    return 0


def _serve(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sightsmith serve", description="Answer over HTTP what a finished run says of an image: GET /health, "
        "GET /model, POST /predict with the image's bytes as body; GET /docs shows them. Needs `pip install "
        "'sightsmith[serve]'`. Who can reach the address can ask: keep it on this machine or in a network you trust.",
        epilog="example: sightsmith serve run=runs/2026-01-31_12-00-00-detection port=8000, then "
        "curl --data-binary @photo.jpg localhost:8000/predict")
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE",
                        help="run=DIR, the run's folder; host=127.0.0.1; port=8000; megabytes=20, of a body; "
                        "megapixels=50, of an image; seconds=30, until an answer; waiting=256, requests")
    given = _settings(parser, parser.parse_args(arguments).settings, {"run": "DIR"},
                      ("host", "port", "megabytes", "megapixels", "seconds", "waiting"))

    from sightsmith.engine.pipeline.result import Result

    try:
        from sightsmith.engine.pipeline.serve import Limits, serve
    except ModuleNotFoundError as error:
        raise UserError(f"`sightsmith serve` needs {error.name}, which is not installed.",
                        hint="pip install 'sightsmith[serve]'") from error
    usual = Limits()
    limits = Limits(_number(parser, given, "megabytes", usual.megabytes, 0.001, 10_000),
                    _number(parser, given, "megapixels", usual.megapixels, 0.001, 10_000),
                    _number(parser, given, "seconds", usual.seconds, 0.1, 86_400),
                    _number(parser, given, "waiting", usual.waiting, 1, 100_000))
    port = _number(parser, given, "port", 8000, 0, 65_535)
    serve(Result.load(Path(given["run"]).expanduser()), given.get("host", "127.0.0.1"), port, limits)
    return 0


def _verify(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="sightsmith verify", description="Compare what a finished run was made from with what is there now, and, "
        "with rerun=true, train it again and compare the weights. Exit code 0: all is the same.",
        epilog="example: sightsmith verify run=runs/2026-01-31_12-00-00-classification rerun=true")
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE",
                        help="run=DIR, the run's folder; rerun=true, to train again into a new folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_intermixed_args(arguments)
    given = _settings(parser, options.settings, {"run": "DIR"}, ("rerun",))
    again_too = _flag(parser, given, "rerun")
    run = Path(given["run"]).expanduser().resolve()

    from sightsmith.engine.pipeline import verify

    checks = verify.check_run(run, (lambda line: None) if options.json else print)
    if not options.json:
        verify.print_checks(checks)
    again = None
    if again_too:
        with _stdout_as_stderr() if options.json else nullcontext():
            again = verify.train_again(run, checks)
    if options.json:
        print(json.dumps({"checks": [asdict(item) for item in checks], "rerun": again and again.to_json()}, indent=2))
    elif again is not None:
        print(*again.lines(), sep="\n")
    return 0 if all(item.state == verify.SAME for item in checks) and (again is None or again.same) else 1


def _settings(parser: argparse.ArgumentParser, texts: Sequence[str], needed: Mapping[str, str], more: Sequence[str],
              ) -> dict[str, str]:
    """``texts`` of the form ``key=value``: all keys that are ``needed``, which maps them to a word for the value, and
    none but these and ``more``."""
    given = dict(text.partition("=")[::2] for text in texts)
    known = (*needed, *more)
    for key in given:
        if key not in known:
            parser.error(f"there is no key {key!r}.{near(key, known) or ' There is: ' + ', '.join(known)}")
    if missing := [f"{key}={value}" for key, value in needed.items() if not given.get(key)]:
        parser.error(f"{', '.join(missing)} is not given")
    return given


def _output_dir(given: Mapping[str, str]) -> Path | None:
    return Path(given["output_dir"]).expanduser().resolve() if "output_dir" in given else None


def _number(parser: argparse.ArgumentParser, given: Mapping[str, str], key: str, usual: Number, low: float, high: float,
            ) -> Number:
    """A whole one where ``usual`` is."""
    whole = isinstance(usual, int)
    with suppress(ValueError):
        value = type(usual)(given.get(key, usual))
        if low <= value <= high:
            return value
    parser.error(f"{key}={given[key]} is not a number from {low:g} to {high:g}{', a whole one' if whole else ''}")


def _flag(parser: argparse.ArgumentParser, given: dict[str, str], key: str, usual: str = "false") -> bool:
    value = given.pop(key, usual)
    if value not in ("true", "false"):
        parser.error(f"{key}={value} is neither true nor false")
    return value == "true"


@contextmanager
def _stdout_as_stderr() -> Iterator[None]:
    """What is printed within, by this process and by those that it starts, leaves stdout to the JSON."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _list(arguments: list[str]) -> int:
    from sightsmith.core.config.presets import find_preset
    from sightsmith.plugins.commands import listing

    parser = argparse.ArgumentParser(prog="sightsmith list", description="What is installed, and what was run.",
                                     epilog="example: sightsmith list networks --task classification")
    parser.add_argument("kind", choices=listing.KINDS)
    parser.add_argument("name", nargs="?", help="one preset, or its file: its card (list presets)")
    parser.add_argument("--task", help="only what serves this task")
    parser.add_argument("--output-dir", default="runs", help="where the runs are (list runs)")
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    options = parser.parse_intermixed_args(arguments)
    if options.name is not None and options.kind != "presets":
        parser.error(f"list {options.kind} takes no name")
    if options.name is not None:
        preset = find_preset(options.name)
        if not options.json:
            listing.print_card(preset)
            return 0
        rows = [listing.preset_row(preset)]
    else:
        rows = listing.rows(options.kind, options.task, Path(options.output_dir))
    if options.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        listing.print_rows(options.kind, rows)
        if options.kind == "runs" and rows:
            from sightsmith.core.plugins.manager import load_plugins
            from sightsmith.engine.report.runs_page import write_runs_page

            print(f"Page: {write_runs_page(Path(options.output_dir), rows, load_plugins())}")
    return 0


def _preset(arguments: list[str]) -> int:
    from sightsmith.engine.pipeline.create_preset import CARD_KEYS, TUNABLE, UNLICENSED, create_preset

    parser = argparse.ArgumentParser(
        prog="sightsmith preset", description="Write a preset that trains as a finished run did, and starts from its "
        "weights: a YAML file with the weights beside it, or a Python package that others can install.",
        epilog="example: sightsmith preset create run=runs/2026-01-31_12-00-00-segmentation name=my_nuclei "
        "modality=microscopy package=true")
    parser.add_argument("action", choices=("create",))
    parser.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="run=DIR, the run's folder; name=NAME, the "
                        "preset's; output_dir=FOLDER [presets]; package=true, for a package; and of its card: "
                        f"{', '.join(CARD_KEYS)}; licence is that of file and weights [{UNLICENSED}], tunable the keys "
                        f"that stay free [{','.join(TUNABLE)}]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_intermixed_args(arguments)
    given = _settings(parser, options.settings, {"run": "DIR", "name": "NAME"}, ("output_dir", "package", *CARD_KEYS))
    package = _flag(parser, given, "package")
    run, name, folder = Path(given.pop("run")), given.pop("name"), Path(given.pop("output_dir", "presets"))
    said: dict[str, Any] = {key: " ".join(value.split()) for key, value in given.items()}
    if "tunable" in said:
        said["tunable"] = [key for key in said["tunable"].strip("[]").replace(" ", "").split(",") if key]
    written = create_preset(run.expanduser().resolve(), name, folder.expanduser(), said, package=package)
    if options.json:
        print(json.dumps({"preset" if not package else "package": str(written)}))
        return 0
    choice = str(written)
    if package:
        print(f"Package: {written}\nInstall it here with `pip install {written}`, then")
        choice = name
    else:
        print(f"Preset: {written}")
    print(f"  sightsmith list presets {choice}\n  sightsmith train preset={choice} dataset.root=FOLDER")
    if said.get("licence", UNLICENSED) == UNLICENSED:
        print("No licence is stated; before you share it: licence=...")
    return 0


def _doctor(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="sightsmith doctor", description="Versions, devices, and what is missing.",
                                     epilog="example: sightsmith doctor --json")
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    options = parser.parse_intermixed_args(arguments)

    from sightsmith.plugins.commands.diagnosis import findings, print_findings

    found = findings()
    if options.json:
        print(json.dumps([finding.to_json() for finding in found], indent=2))
    else:
        print_findings(found)
    return 0 if all(finding.ok for finding in found) else 1


def _completion(arguments: list[str]) -> int:
    argparse.ArgumentParser(prog="sightsmith completion", description="The completion of keys and choices for bash.",
                            epilog='example: eval "$(sightsmith completion)"').parse_args(arguments)

    from sightsmith.plugins.commands.bash import bash_script

    print(bash_script(VERBS), end="")
    return 0


VERBS: dict[str, Callable[[list[str]], int]] = {
    "train": _train, "inspect": _inspect, "evaluate": _evaluate, "predict": _predict,
    "export": _export, "serve": _serve,
    "verify": _verify, "list": _list, "preset": _preset, "doctor": _doctor, "completion": _completion}
