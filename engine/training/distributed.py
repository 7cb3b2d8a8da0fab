"""One run on several devices, in ranks started here, by torchrun or by accelerate."""

from __future__ import annotations

import os
import signal
import tempfile
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import nn

from sightsmith.core.util.errors import HungError, StoppedError, UserError
from sightsmith.engine.runs.resources import ResourceError
from sightsmith.engine.training import watchdog

T = TypeVar("T")
START_METHOD = "spawn"
"""How ranks are started: as new processes, since CUDA does not work in one that is forked."""
LACKING_EXIT_CODE = 114
"""Exit code of a rank that ended for a ResourceError: the others cannot go on without it."""


def joined() -> bool:
    """Whether this process is one of several ranks that torchrun or accelerate has started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def device_count(devices: str) -> int:
    """The number of ranks that ``trainer.devices`` asks for. Raises UserError for more GPUs than there are."""
    gpus = torch.cuda.device_count()
    if devices == "auto":
        return max(gpus, 1)
    count = int(devices)
    if gpus and count > gpus:
        raise UserError(f"trainer.devices={count}, but this machine has {gpus} GPU(s)",
                        hint=f"type trainer.devices={gpus} or less, or trainer.devices=auto")
    return count


def launch(count: int, function: Callable[..., T], *arguments: Any) -> T:
    """Run ``function`` in ``count`` new processes of this machine; returns the result of rank 0.

    ``function`` must be importable. It must return, not raise, errors that its caller needs.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    threads = os.environ.get("OMP_NUM_THREADS")
    # Ranks that each use every core slow each other down several times.
    os.environ["OMP_NUM_THREADS"] = threads or str(max((os.cpu_count() or 1) // count, 1))
    interrupted = []
    # Ctrl-C reaches the ranks too, which stop cleanly; the parent waits for them.
    handler = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    try:
        with tempfile.TemporaryDirectory() as logs:  # torch would leave its own behind
            config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=count, run_id=uuid.uuid4().hex,
                                  max_restarts=0, rdzv_backend="c10d", rdzv_endpoint="localhost:0",
                                  local_addr="localhost", start_method=START_METHOD, signals_to_handle="SIGTERM",
                                  logs_specs=DefaultLogsSpecs(logs))
            results: dict[int, T] = elastic_launch(config, function)(*arguments)
    except SignalException as error:
        raise StoppedError from error
    except ChildFailedError as error:
        if interrupted:
            raise KeyboardInterrupt from error
        if any(failure.exitcode == LACKING_EXIT_CODE for failure in error.failures.values()):
            raise ResourceError("The run ended: a rank lacks memory or disk space, as it says above.") from error
        hung = [rank for rank, failure in error.failures.items() if failure.exitcode == watchdog.EXIT_CODE]
        if hung:
            raise HungError(f"Rank {', '.join(map(str, hung))} of {count} made no progress for longer than "
                            "trainer.watchdog_minutes; its position is printed above. Resume with trainer.resume=true."
                            ) from error
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
    return results[0]


def open_state() -> PartialState:
    """This process's rank and device; starts the process group where there are several ranks."""
    AcceleratorState._reset_state(reset_partial_state=True)
    return PartialState(cpu=not torch.cuda.is_available())


def close_state(state: PartialState) -> None:
    """Leave the process group, so that the next run of this process can start another."""
    state.destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)


def slowest(state: PartialState, seconds: float) -> float:
    """The largest of all ranks' ``seconds``, on every rank."""
    if state.num_processes == 1:
        return seconds
    return max(gather_object([seconds]))


def any_rank(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """Each flag, true if it is on any rank; the same on all ranks."""
    if accelerator.num_processes == 1:
        return list(flags)
    votes = torch.tensor([float(flag) for flag in flags], device=accelerator.device)
    return [bool(vote) for vote in accelerator.reduce(votes, "sum") > 0]


def share_buffers(accelerator: Accelerator, *models: nn.Module) -> None:
    """Give all ranks the batch-normalization statistics of rank 0. Each has gathered its own, but all must evaluate the
    same model, and a resumed run must start from it."""
    if accelerator.num_processes > 1:
        for buffer in (buffer for model in models for buffer in model.buffers()):
            broadcast(buffer)


def on_main(state: PartialState, function: Callable[[], T]) -> T:
    """Call ``function`` on rank 0 and return its result on every rank; an exception is raised on every rank."""
    if state.num_processes == 1:
        return function()
    box: list[Any] = [None]
    failure: Exception | None = None
    if state.is_main_process:
        try:
            box = [(function(), None)]
        except Exception as error:
            failure = error
            shared = error if isinstance(error, UserError) else RuntimeError(f"rank 0 failed: {error!r}")
            box = [(None, shared)]
    broadcast_object_list(box)
    value, shared_failure = box[0]
    if shared_failure is not None:
        raise failure or shared_failure
    return value
