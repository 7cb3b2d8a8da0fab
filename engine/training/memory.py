"""Where memory runs out: the failed part is repeated with half as many images at once."""

from __future__ import annotations

import gc
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sightsmith.engine.runs.resources import ResourceError, is_out_of_memory
from sightsmith.engine.training.sampler import EvaluationSampler
from sightsmith.engine.training.state import TrainState

T = TypeVar("T")


@contextmanager
def retried_with_less(shrink: Callable[[], None]) -> Iterator[None]:
    """Where the block runs out of memory, free what it held and call ``shrink``; the caller then repeats the block."""
    failed = False
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        failed = True
        traceback.clear_frames(error.__traceback__)  # their local variables hold the batch and its activations
    if failed:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        shrink()


def each_batch(loader: DataLoader[Any], step: Callable[[Any], list[T]], micro_batch: Callable[[], int],
               shrink: Callable[[], None]) -> Iterator[list[T]]:
    """What ``step`` returns for each batch of ``loader``, whose batch sampler is an :class:`EvaluationSampler`: a list
    with an item a sample. No batch has more than ``micro_batch()`` samples, which ``shrink`` lowers."""
    sampler = cast(EvaluationSampler, loader.batch_sampler)
    done, complete = 0, False
    while not complete:
        sampler.start(micro_batch(), done)
        with retried_with_less(shrink):
            for batch in loader:
                found = step(batch)
                done += len(found)
                yield found
            complete = True


def halved(images: int, network: str, smallest: int = 1) -> int:
    """Half of ``images`` per forward pass. Raises ResourceError for ``smallest``, one image on each device."""
    if images <= smallest:
        raise ResourceError(f"There is not enough memory for a single image with the network {network}.",
                            hint="Choose a smaller image.size or another network, cut large images into tiles with "
                                 "dataset.tile, or end other programs.")
    return max((images + 1) // 2, smallest)


def halve_micro_batch(state: TrainState, where: str, network: str, accelerator: Accelerator, run: Path) -> None:
    """Halve the micro-batch of a training, and add a warning. Raises ResourceError if that is not possible."""
    before, ranks = state.micro_batch, accelerator.num_processes
    state.micro_batch = halved(before, network, ranks)
    if ranks > 1:  # the others wait for this one, and cannot be told
        raise ResourceError(f"Rank {accelerator.process_index} ran out of memory {where} with {before} images per "
                            f"forward pass on {ranks} devices.",
                            hint="Type the same command again, and add trainer.resume="
                                 f"{run} trainer.micro_batch={state.micro_batch}")
    state.warnings.append(f"out of memory {where} of epoch {state.epoch + 1}: from here on {state.micro_batch} instead "
                          f"of {before} images per forward pass; the optimizer steps keep their images")


class Buffers:
    """The buffers of ``model``, such as batch-normalization statistics, as they were before an optimizer step."""

    def __init__(self, model: nn.Module) -> None:
        kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = defaultdict(list)
        for buffer in model.buffers():
            kinds[buffer.dtype, buffer.device].append(buffer)
        self._groups = [(buffers, [torch.empty_like(buffer) for buffer in buffers]) for buffers in kinds.values()]

    def save(self) -> None:
        for live, saved in self._groups:
            torch._foreach_copy_(saved, live)  # one kernel, in every optimizer step

    def restore(self) -> None:
        for live, saved in self._groups:
            torch._foreach_copy_(live, saved)
