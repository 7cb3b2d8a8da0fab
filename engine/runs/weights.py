"""Starting weights: read from a file without executing code, matched to a model, reported."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from sightsmith.core.contracts.weights import LoadReport
from sightsmith.core.util.errors import UserError, listed, near
from sightsmith.core.util.files import typed_path
from sightsmith.core.util.text import one_line
from sightsmith.engine.runs.checkpoint import load_tree
from sightsmith.engine.runs.heads import Head

_BOOKKEEPING = ("argparse.", "builtins.getattr", "mmengine.", "numpy.")
"""Modules of objects in checkpoints of other frameworks that are skipped."""

_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema")
_PREFIXES = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class WeightsFile:
    """The content of a weights file: tensors by name, and the classes of its heads if it names them."""

    tensors: dict[str, Tensor]
    classes: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, names: Mapping[str, str]) -> WeightsFile:
        """The file with some classes renamed. Raises UserError for classes that it does not have."""
        if unknown := [name for name in names if name not in self.classes]:
            there = f"its classes are {one_line(', '.join(self.classes))}" if self.classes else "it has no class names"
            raise UserError(f"network.class_renames: the starting weights have no class "
                            f"{one_line(', '.join(unknown))}; {there}")
        if names and len({names.get(name, name) for name in self.classes}) < len(self.classes):
            raise UserError(f"network.class_renames: two classes would get the same name; the classes of the "
                            f"starting weights are {one_line(', '.join(self.classes))}")
        return replace(self, classes=tuple(names.get(name, name) for name in self.classes), renames=names)


@dataclass(frozen=True)
class Stem:
    """How a convolution of the image gets kernels for another number of input channels.

    ``rgb`` has the places of red, green and blue in the file's three channels, if the network's first three are these;
    otherwise None. ``gain`` is what the file's network expects images to be multiplied by, compared with this one. Of
    an image that is cut into ``patches`` first, the channels of each follow those of the one before.
    """

    rgb: tuple[int, int, int] | None = None
    gain: float = 1.0
    patches: int = 1

    def adapted(self, kernels: Tensor, channels: int) -> tuple[Tensor, str]:
        """``kernels`` (out, in, height, width) for ``channels`` input channels, scaled to keep their sum, and what was
        done."""
        if self.patches > 1 and kernels.shape[1] % self.patches == 0:
            parts = [replace(self, patches=1).adapted(part, channels // self.patches)
                     for part in kernels.chunk(self.patches, 1)]
            return torch.cat([part for part, _ in parts], 1), f"{self.patches} patches: {parts[0][1]}"
        before = kernels.shape[1]
        found = kernels.mean(1, keepdim=True).repeat(1, channels, 1, 1)
        how = "each is the mean"
        if self.rgb is not None and before == 3 and channels > 3:
            found[:, :3] = kernels[:, list(self.rgb)]
            how = "red, green and blue as in the file, the others their mean"
        return found * (self.gain * before / channels), f"{before} input channels made {channels} ({how})"


PLAIN_STEM = Stem()
"""For channels that are not colours: each kernel is the mean of the file's."""


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_weights(path: Path) -> WeightsFile:
    """Read a ``.safetensors`` or torch file without executing code in it.

    From a sightsmith checkpoint or bundle, the model's tensors are taken. Raises UserError for a file that is
    missing, damaged, or can only be read by full unpickling.
    """
    path = typed_path(path)
    if not os.path.isfile(path):
        siblings = [item.name for item in path.parent.glob("*")] if os.path.isdir(path.parent) else []
        raise UserError(f"network.weights: there is no file {path}.{near(path.name, siblings)}",
                        hint="type network.weights=published, backbone, none, or the path of a .safetensors or .pth "
                             "file")
    try:
        content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except pickle.UnpicklingError as error:
        foreign = [name for name in _objects(path) if not name.startswith(_BOOKKEEPING)]
        more = f" ({listed(foreign)})" if foreign else ""
        raise UserError(f"{path} contains more than tensors{more}; it was not read because that could execute code",
                        hint="if you trust its origin, save only its state_dict: "
                             "torch.save(model.state_dict(), 'weights.pth')") from error
    except (UserError, MemoryError):
        raise
    except Exception as error:  # damaged bytes make the unpickler raise nearly every built-in exception
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise UserError(f"{path} is damaged or not a weights file: {reason}") from error
    return WeightsFile(_tensors(content, path), _classes(content))


class _Unread:
    """Placeholder for an object in a checkpoint that is not a tensor; discards its state."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _objects(path: Path) -> list[str]:
    """The names of classes and functions in a torch file other than tensors and plain values."""
    with contextlib.suppress(Exception):  # damaged, or in an older format that cannot be inspected
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    return []


def _read_torch(path: Path) -> object:
    unread = [(_Unread, name) for name in _objects(path) if name.startswith(_BOOKKEEPING)]
    with torch.serialization.safe_globals(unread):  # type: ignore[arg-type]
        return torch.load(path, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> object:
    with safe_open(path, framework="pt") as stream:
        if "tree" in (stream.metadata() or {}):
            return load_tree(path)
        return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    found = {}
    if isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(name, str) and isinstance(value, Tensor):
                for prefix in _PREFIXES:
                    name = name.removeprefix(prefix)
                found[name] = value
    if not found:
        raise UserError(f"{path} contains no named tensors")
    return found


def _classes(content: object) -> tuple[str, ...]:
    """The names of the classes in order, from our bundles and from old and new mmengine checkpoints."""
    if not isinstance(content, Mapping):
        return ()
    meta = content.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    dataset = meta.get("dataset_meta")
    for place, key in ((content, "classes"), (dataset, "classes"), (dataset, "CLASSES"), (meta, "CLASSES")):
        if isinstance(place, Mapping) and (found := place.get(key)):
            names = [found] if isinstance(found, str) else found
            if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
                return tuple(names)
    return ()


def load_by_class(model: nn.Module, file: WeightsFile, source: str, classes: Sequence[str],
                  heads: Callable[[], Mapping[str, Head]], stem: Stem = PLAIN_STEM) -> LoadReport:
    """Like :func:`load_matching`, but rows of the heads are matched by class name if the file has other classes.

    ``heads`` returns the tensors that depend on the classes.
    """
    if not file.classes:
        return load_matching(model, file.tensors, source, stem)
    matched = match_classes(classes, file.classes)
    tensors = file.tensors if file.classes == tuple(classes) else fill_heads(model, file, classes, heads())
    if file.renames:
        matched["renamed"] = tuple(f"{old} to {new}" for old, new in file.renames.items())
    return replace(load_matching(model, tensors, source, stem), classes=matched)


def match_classes(own: Sequence[str], others: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Which classes of ``own`` are also in ``others``, which are new, and which of ``others`` are dropped."""
    return {"kept": tuple(name for name in own if name in others),
            "new": tuple(name for name in own if name not in others),
            "dropped": tuple(name for name in others if name not in own)}


def fill_heads(model: nn.Module, file: WeightsFile, own: Sequence[str], heads: Mapping[str, Head],
               ) -> dict[str, Tensor]:
    """The tensors of ``file`` with heads that fit ``model``, whose classes are ``own``.

    A head without common classes, or that differs in more than its classes, is left out.
    """
    kept = set(own) & set(file.classes)
    state = model.state_dict()
    tensors = {}
    for name, value in file.tensors.items():
        filled: Tensor | None = value
        if name in heads:
            filled = heads[name].filled(state[name], own, value, file.classes) if kept else None
        if filled is not None:
            tensors[name] = filled
    return tensors


def load_matching(model: nn.Module, state: Mapping[str, Tensor], source: str, stem: Stem = PLAIN_STEM) -> LoadReport:
    """Copy into ``model`` the tensors that match by name and shape or, failing that, by order.

    By order: if fewer than half of the names are known, and the file's shapes are in order those of the
    model's first tensors (a backbone saved under other names), or the model's those of the file's first
    (a backbone without its last layers). Convolutions of the image with another number of input channels get the
    file's kernels as ``stem`` says. Raises UserError if nothing fits.
    """
    own = model.state_dict()
    how = "by name"
    channels = {f"{name}.weight": module.in_channels for name, module in model.named_modules()
                if isinstance(module, nn.Conv2d)}
    first = next(iter(channels), "")
    stems = [name for name in channels if channels[name] == channels[first]]
    if sum(name in own for name in state) < len(state) / 2 and (renamed := _by_order(own, state, first)):
        state, how = renamed, "by order"
    loaded, mismatched, adapted = {}, [], []
    for name in own.keys() & state.keys():
        value = state[name]
        if name in stems and value.ndim == 4 and value.shape[1] != own[name].shape[1]:
            value, how_adapted = stem.adapted(value, own[name].shape[1])
            adapted.append(f"{name}: {how_adapted}")
        if value.shape == own[name].shape:
            loaded[name] = value
        else:
            mismatched.append((name, f"{_shape(value)} in the file, {_shape(own[name])} in the network"))
    if not loaded:
        raise UserError(f"No tensor of {source} matches the network: it starts with {', '.join(list(state)[:3])}, "
                        f"the network with {', '.join(list(own)[:3])}",
                        hint="choose the network that the weights belong to, or network.weights=none")
    model.load_state_dict(loaded, strict=False)
    order = {name: place for place, name in enumerate(own)}
    return LoadReport(source, tuple(sorted(loaded, key=order.__getitem__)), tuple(sorted(mismatched)),
                      tuple(name for name in state if name not in own),
                      tuple(name for name in own if name not in state), how, adapted=tuple(adapted))


def _by_order(own: Mapping[str, Tensor], state: Mapping[str, Tensor], first: str) -> dict[str, Tensor] | None:
    """``state`` with the model's names if the shapes of one are the first shapes of the other.

    The convolution ``first`` may have other input channels, the last layer other classes; batch counters, the only
    scalars, may be missing.
    """
    counters = any(value.ndim == 0 for value in state.values())
    names = [name for name in own if counters or not name.endswith("num_batches_tracked")]
    renamed = dict(zip(names, state.values(), strict=False))
    for place, (name, value) in enumerate(renamed.items()):
        ours, theirs = list(own[name].shape), list(value.shape)
        if name == first:
            del ours[1:2], theirs[1:2]
        elif place >= len(renamed) - 2:
            del ours[:1], theirs[:1]
        if ours != theirs:
            return None
    return renamed | dict(list(state.items())[len(names):])


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "scalar"
