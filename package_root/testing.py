"""The conformance suite for plugins, as tests to inherit. Requires pytest.

    from sightsmith.testing import PluginConformance

    class TestPlugin(PluginConformance):
        distribution = "my-package"

The package must be installed. Tests of records that the plugin does not register pass.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import sightsmith
from sightsmith.core.contracts.annotation import ANNOTATION_ORDER, Annotation, Object, Polygons
from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.contracts.logger import MetricLogger
from sightsmith.core.contracts.record import Record
from sightsmith.core.contracts.task import Task
from sightsmith.core.plugins.manager import load_plugins
from sightsmith.engine.config.compose import compose
from sightsmith.engine.config.presets import load_presets
from sightsmith.engine.data.augmentations import build_augmentation
from sightsmith.engine.data.images import probe
from sightsmith.engine.search.sweep_syntax import parse_space
from sightsmith.engine.search.tuner import AsynchronousTuner, SearchSpace, TrialResult, Tuner

__all__ = ["PluginConformance"]

HEAVY = ("torch", "torchvision", "mmengine", "mmcv", "mmdet", "mmseg", "accelerate")
FAST = ["dataset.root=sample", "dataset.limit=40", "network.weights=none", "hyper.epochs=1", "hyper.batch_size=8",
        "dataset.folds=none", "trainer.devices=1", "trainer.precision=fp32", "trainer.memory_format=contiguous",
        "trainer.num_workers=0"]
SPACE = {"hyper.learning_rate": "0.1,0.01,0.001", "hyper.momentum": "0.5,0.9"}


class PluginConformance:
    """Tests of all plugins of the installed ``distribution``."""

    distribution: str

    def records(self, kind: str) -> Iterator[Any]:
        """The distribution's records of a ``kind``: ``networks``, ``tuners``, ..."""
        plugins = load_plugins()
        found: dict[str, Record] = getattr(plugins, kind)
        yield from (record for name, record in found.items()
                    if plugins.provider(kind, name).distribution == self.distribution)

    def test_it_is_loaded(self) -> None:
        plugins = load_plugins()
        broken = [item.cause for item in plugins.broken if item.provider.distribution == self.distribution]
        assert not broken, broken
        assert any(item.distribution == self.distribution for item in plugins.providers), (
            f"no entry point of the group sightsmith.plugins comes from {self.distribution}: is it installed?")

    def test_listing_imports_no_heavy_library(self) -> None:
        script = ("import sys; from sightsmith.core.plugins.manager import load_plugins; load_plugins(); "
                  f"print(*[name for name in {HEAVY} if name in sys.modules])")
        output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert not output.split(), "import these only in builders"

    def test_builders_exist_and_have_the_right_type(self) -> None:
        kinds: dict[str, tuple[str, ...]] = {
            "networks": (), "tasks": (), "dataset_formats": ("detect", "read"), "loggers": (), "tuners": (),
            "recipes": ()}
        for kind, methods in kinds.items():
            for record in self.records(kind):
                built = record.build()
                assert callable(built), f"the builder of {record.name}"
                missing = [name for name in methods if not callable(getattr(built, name, None))]
                assert not missing, f"{record.builder} has no {', '.join(missing)}"
        assert all(issubclass(record.build(), Task) for record in self.records("tasks"))
        assert all(issubclass(record.build(), (Tuner, AsynchronousTuner)) for record in self.records("tuners"))
        for record in self.records("dataset_formats"):
            assert record.writer is None or callable(record.build_writer()), f"the writer of {record.name}"

    def test_networks_train_and_predict(self, tmp_path: Path) -> None:
        for record in self.records("networks"):
            if record.zoo is not None:
                continue
            side = record.min_size or record.input_size
            result = sightsmith.train([f"task={record.task}", f"network={record.name}", f"image.size={side}", *FAST,
                                       "logger=[]", f"output_dir={tmp_path / record.name}"])
            again = sightsmith.load(str(result.run_dir))
            assert again.model is not None, record.name

    def test_formats_do_not_detect_other_folders(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("no data set")
        for record in self.records("dataset_formats"):
            assert record.make().detect(tmp_path) is None, f"{record.name} detects a folder with only a text file"

    def test_formats_read_what_they_write(self, tmp_path: Path) -> None:
        """Also where the annotation has the images' paths of another machine."""
        for record in self.records("dataset_formats"):
            if record.writer is None:
                continue
            index, folder = _pets(tmp_path / record.name, record.annotations), tmp_path / f"{record.name}-written"
            infos = {sample.name: probe(sample.path, ()) for sample in index.samples}
            folder.mkdir()
            record.build_writer()(index, infos, folder)
            for machine in ("", "/home/ann/pets/"):
                for path in folder.rglob("*"):
                    if path.suffix in (".csv", ".json", ".jsonl", ".txt", ".xml", ".yaml"):
                        path.write_text(path.read_text().replace("images/", f"{machine}images/"))
                found = record.make().read(folder)
                errors = [str(problem) for problem in found.problems if problem.severity == "error"]
                assert not errors, f"{record.name} cannot read what it wrote below {machine or folder}: {errors}"
                assert len(found.samples) == len(index.samples), f"{record.name} loses images"
                assert set(found.classes) == set(index.classes), f"{record.name} has other classes"

    def test_tuners_are_deterministic(self) -> None:
        for record in self.records("tuners"):
            if issubclass(record.build(), AsynchronousTuner):
                continue  # need not be reproducible
            first, second = (self._asked(record) for _ in range(2))
            assert first == second, f"{record.name} suggests other trials for the same results"
            assert first, f"{record.name} suggests no trial"

    @staticmethod
    def _asked(record: Any) -> list[TrialResult]:
        space = tuple(parse_space(dict(record.space) or SPACE, record.name))
        tuner = record.make(SearchSpace(space, 8, 4, 0, options=dict(record.options)))
        results: list[TrialResult] = []
        while suggestions := tuner.ask():
            assert len(results) < 1000, f"{record.name} does not stop"
            names = {parameter.name for parameter in space}
            assert all(set(suggestion.values) == names for suggestion in suggestions)
            batch = [TrialResult(number, suggestion, number % 3 / 3 if number % 4 else None)
                     for number, suggestion in enumerate(suggestions, len(results))]
            tuner.tell(batch)
            results += batch
        return results

    def test_augmentations_keep_to_their_kind_and_draw_from_their_generator(self) -> None:
        for record in self.records("augmentations"):
            augmentation = build_augmentation(record, {})
            copy = pickle.loads(pickle.dumps(augmentation))  # as a worker of the DataLoader gets it
            if record.kind == "geometric":
                first, second = (made((24, 32), np.random.default_rng(5)) for made in (augmentation, copy))
                assert np.array_equal(first, second), f"{record.name} draws from something else than its generator"
            elif record.kind == "photometric":
                for channels in (1, 3, 5):
                    self._ensure_photometric(record.name, augmentation, copy, channels)

    def _ensure_photometric(self, name: str, augmentation: Callable[..., Any], copy: Callable[..., Any],
                            channels: int) -> None:
        values = np.random.default_rng(channels).random((24, 32, channels), np.float32)
        for image in (values, np.rint(255 * values).astype(np.uint8)):
            first, second = (made(image.copy(), np.random.default_rng(5)) for made in (augmentation, copy))
            assert np.array_equal(first, second), f"{name} draws from something else than its generator"
            assert np.isfinite(first).all() and first.min() >= 0, f"{name} leaves the range"
            assert first.max() <= (255 if image.dtype == np.uint8 else 1), f"{name} leaves the range"

    def test_loggers_write_and_close(self, tmp_path: Path) -> None:
        for record in self.records("loggers"):
            (tmp_path / record.name).mkdir()
            (tmp_path / record.name / "config.yaml").write_text("{}\n")
            logger = record.make(tmp_path / record.name, dict(record.options))
            assert isinstance(logger, MetricLogger), f"{record.builder} does not make a MetricLogger"
            logger.start({"output_dir": str(tmp_path)}, 0, None)
            logger.log(1, {"train/loss": 0.5, "epoch": 0.25})
            logger.close("finished")

    def test_presets_compose_and_have_a_card(self) -> None:
        plugins = load_plugins()
        for name, preset in load_presets(plugins).items():
            if getattr(preset.provider, "distribution", None) == self.distribution:
                config = compose([f"preset={name}", "dataset.root=any"], plugins)
                assert config.preset.name == name
                assert preset.card.title and preset.card.images and preset.card.licence, f"the card of {name}"


def _pets(folder: Path, annotations: Sequence[Annotation]) -> DatasetIndex:
    """Four images of two classes, with the richest of ``annotations``."""
    folder.mkdir(parents=True)
    annotation = max(annotations, key=ANNOTATION_ORDER.index)
    samples = []
    for number in range(4):
        path, label = folder / f"{number}.png", ("cat", "dog")[number % 2]
        Image.fromarray(np.full((20, 24, 3), 40 * number, np.uint8)).save(path)
        mask = Polygons(((2.0, 3.0, 10.0, 3.0, 10.0, 9.0, 2.0, 9.0),)) if annotation == "masks" else None
        objects = () if annotation == "labels" else (Object(label, (2, 3, 10, 9), mask),)
        samples.append(Sample(path, path.name, (label,), objects=objects))
    return DatasetIndex(folder, "made", ("cat", "dog"), tuple(samples), annotation=annotation)
