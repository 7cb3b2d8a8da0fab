"""The file that ``network.weights`` stands for: chosen, downloaded, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sightsmith.core.contracts.network_record import NetworkRecord
from sightsmith.core.contracts.schema import NetworkConfig
from sightsmith.core.contracts.weights import LoadReport, PublishedWeights
from sightsmith.core.util.errors import Problem, UserError
from sightsmith.core.util.files import make_folder, typed_path
from sightsmith.engine.runs.download import download
from sightsmith.engine.runs.weights import WeightsFile, file_digest, read_weights

NONE, PUBLISHED, BACKBONE = "none", "published", "backbone"
"""Values of ``network.weights`` that are not paths."""


@dataclass(frozen=True)
class StartingWeights:
    """The content of the file that training starts from. ``published`` is what it is, unless it is the user's own."""

    file: WeightsFile
    source: str
    digest: str
    published: PublishedWeights | None = None

    def report(self, loaded: LoadReport) -> LoadReport:
        """``loaded``, with what is known of the file."""
        return replace(loaded, source=self.source, digest=self.digest, published=self.published)


def choose_weights(record: NetworkRecord, chosen: NetworkConfig) -> PublishedWeights | None:
    """The published file that ``network.weights`` stands for; None for ``none``, for a path, and if nothing is
    published.

    Raises UserError for ``backbone`` if no backbone is published.
    """
    if chosen.weights not in (PUBLISHED, BACKBONE):
        return None
    wanted = (item for item in record.published_weights(chosen.config)
              if item.backbone or chosen.weights == PUBLISHED)
    found = next(wanted, None)
    if found is None and chosen.weights == BACKBONE:
        raise UserError(f"network.weights=backbone: no backbone is published for {described(chosen)}",
                        hint="type network.weights=published, network.weights=none, or network.weights=FILE")
    return found


def locate_weights(record: NetworkRecord, chosen: NetworkConfig) -> Path | None:
    """Where the file lies, or would lie, that ``network.weights`` stands for; None for random weights."""
    if chosen.weights in (PUBLISHED, BACKBONE):
        published = choose_weights(record, chosen)
        return hub_folder() / file_name(published) if published else None
    return None if chosen.weights == NONE else typed_path(chosen.weights)


def fetch_weights(record: NetworkRecord, chosen: NetworkConfig, *, free: bool = True) -> Path | None:
    """Like :func:`locate_weights`, downloaded into torch's hub folder if it is published and not there.

    Raises UserError if that fails, saying where to put the file and, if network.weights is ``free``, what else to type.
    """
    published = choose_weights(record, chosen)
    return _fetched(published, chosen, free=free) if published else locate_weights(record, chosen)


def _fetched(published: PublishedWeights, chosen: NetworkConfig, *, free: bool = True) -> Path:
    path = hub_folder() / file_name(published)
    try:
        return download_published(published, path.parent)
    except OSError as error:
        backbone = " network.weights=backbone" if chosen.weights == BACKBONE else ""
        others = [Problem("start from a file of your own: network.weights=FILE"),
                  Problem("start from random weights: network.weights=none")]
        raise UserError(f"The published weights {path.name} cannot be downloaded: {error}. Do one of these:", problems=[
            Problem(f"with a network connection, download {published.url}", hint=f"and put the file at {path}"),
            Problem(f"with a network connection, type `sightsmith fetch {described(chosen)}{backbone} folder=DIR`;",
                    hint="carry DIR to this machine, and start training with TORCH_HOME=DIR"),
            *(others if free else ())]) from error


def download_published(published: PublishedWeights, folder: Path) -> Path:
    """The file in ``folder``, downloaded if it is not there. Raises OSError with the reason if that fails."""
    path = folder / file_name(published)
    if not path.is_file():
        try:
            make_folder(folder)
        except UserError as error:
            raise OSError(error.message) from error
        download(published.url, path, digest_start(path.name))
    return path


def read_starting_weights(record: NetworkRecord, chosen: NetworkConfig,
                          classes: Callable[[], Sequence[str]] = tuple) -> StartingWeights | None:
    """The content of the file that ``network.weights`` stands for, downloaded if need be; None for random weights.

    ``classes`` gives those of a published network whose file does not name them. Raises UserError if the file is
    unavailable, damaged, or not what was published.
    """
    published = choose_weights(record, chosen)
    path = _fetched(published, chosen) if published else locate_weights(record, chosen)
    if path is None:
        return None
    content, digest = read_weights(path), file_digest(path)
    if published is None:
        return StartingWeights(content.renamed(chosen.renamed_classes), str(path), digest)
    if not digest.startswith(start := digest_start(path.name)):
        raise UserError(f"{path} is not the file that was published: its SHA-256 starts with {digest[:len(start)]}, "
                        f"not {start}", hint="remove it, and start again")
    if not content.classes and not published.backbone:
        content = replace(content, classes=tuple(classes()))
    renamed = content.renamed(chosen.renamed_classes)
    return StartingWeights(renamed, f"{chosen.weights} ({path.name})", digest, published)


def hub_folder(torch_home: Path | None = None) -> Path:
    """Where published weights lie: torch's hub folder, below ``$TORCH_HOME`` or ``torch_home``."""
    return (torch_home / "hub" if torch_home else Path(torch.hub.get_dir())) / "checkpoints"


def file_name(published: PublishedWeights) -> str:
    return published.url.rsplit("/", 1)[-1]


def digest_start(name: str) -> str:
    """The beginning of the SHA-256 that a published file has in its name; empty without one."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return found[1] if found else ""


def described(chosen: NetworkConfig) -> str:
    """The overrides that choose the network."""
    return f"network={chosen.name}" + (f" network.config={chosen.config}" if chosen.config else "")
