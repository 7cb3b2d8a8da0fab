"""Out of memory: the step under way goes on with half as many images at once, and comes to the same."""

from __future__ import annotations

import errno

import pytest
import torch
from test_trainer import StopAt, assert_close, assert_equal, weights, without_time
from tiny import run_out_of_memory_as_rank, tiny_config, tiny_trainer

from sightsmith.core.util.errors import StoppedError
from sightsmith.engine.pipeline.start import _returned
from sightsmith.engine.runs.resources import ResourceError, is_out_of_memory, resource_error
from sightsmith.engine.training import distributed as ranks
from sightsmith.engine.training.sampler import EvaluationSampler

ERRORS = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nIf reserved memory is large ..."),
          RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you "
                       "tried to allocate 4096 bytes. Error code 12 (Cannot allocate memory)"),
          MemoryError()]


class Watch(StopAt):
    def __init__(self):
        super().__init__(-1, -1)
        self.warnings = []

    def on_warning(self, message):
        self.warnings.append(message)


def limit(trainer, images, *, training=True, first=0, error=ERRORS[0]):
    """From forward pass ``first`` on, more than ``images`` images raise ``error``. Returns the sizes of all passes."""
    forward, sizes = trainer.unwrapped.forward, []

    def limited(inputs, *arguments, mode="tensor", **keys):
        if (mode == "loss") == training:
            sizes.append(len(inputs))
            if len(sizes) > first and len(inputs) > images:
                raise error
        return forward(inputs, *arguments, mode=mode, **keys)

    trainer.model.forward = limited
    return sizes


@pytest.mark.parametrize("error", ERRORS, ids=["gpu", "cpu", "python"])
def test_the_step_under_way_goes_on_with_half_as_many_images(tmp_path, error):
    keys = {"epochs": 2, "batch_size": 8, "ema_decay": 0.9, "clip_grad_norm": 0.5, "optimizer": "adamw"}
    watch = Watch()
    whole = tiny_trainer(tmp_path / "a", tiny_config(**keys))
    whole.fit()
    short = tiny_trainer(tmp_path / "b", tiny_config(**keys), callbacks=[watch])
    sizes = limit(short, 4, first=2, error=error)
    short.fit()
    assert sizes == [7, 7, *[6, 3, 3, 3, 3], *[4, 3, 4, 3, 3, 3, 3, 3]]
    assert_close(weights(whole), weights(short))
    assert_close(whole.ema.state_dict(), short.ema.state_dict())
    assert watch.warnings == short.state.warnings == [
        "out of memory in optimizer step 3 of epoch 1: from here on 4 instead of 8 images per forward pass; the "
        "optimizer steps keep their images"]
    for one, other in zip(whole.history, short.history, strict=True):
        assert other["train_loss"] == pytest.approx(one["train_loss"], abs=1e-6)


def test_a_smaller_micro_batch_from_the_start_makes_the_same_passes(tmp_path):
    small = tiny_trainer(tmp_path / "a", tiny_config(batch_size=8), micro_batch=4)
    small.fit()
    short = tiny_trainer(tmp_path / "b", tiny_config(batch_size=8))
    limit(short, 4)
    short.fit()
    assert_equal(weights(small), weights(short))  # bit for bit: it fails in the very first step
    assert without_time(small.history) == without_time(short.history)


def test_it_is_halved_as_often_as_needed_also_within_an_accumulated_step(tmp_path):
    keys = {"batch_size": 4, "gradient_accumulation": 3, "epochs": 1}
    whole = tiny_trainer(tmp_path / "a", tiny_config(**keys))
    whole.fit()
    short = tiny_trainer(tmp_path / "b", tiny_config(**keys))
    sizes = limit(short, 1, first=2)
    short.fit()
    assert short.state.micro_batch == 1
    assert sizes[:6] == [3, 3, 3, 2, 1, 1]
    assert_close(weights(whole), weights(short))


def test_batch_normalization_forgets_the_passes_of_the_step_that_failed(tmp_path):
    def trainer(folder, **keys):
        made = tiny_trainer(tmp_path / folder, tiny_config(batch_size=8, epochs=1, gradient_accumulation=2), **keys)
        made.unwrapped.layers[1] = torch.nn.BatchNorm1d(8)
        return tiny_trainer(tmp_path / folder, made.config, model=made.unwrapped, **keys)

    small = trainer("a", micro_batch=4)
    small.fit()
    short = trainer("b")
    limit(short, 4, first=1)  # the second micro-batch of the first step
    short.fit()
    assert_equal(weights(small), weights(short))


def test_validation_goes_on_with_the_samples_that_remain(tmp_path):
    whole = tiny_trainer(tmp_path / "a", tiny_config(batch_size=8))
    expected = whole.evaluate()
    short = tiny_trainer(tmp_path / "b", tiny_config(batch_size=8))
    sizes = limit(short, 2, training=False, first=2)
    found = short.evaluate()
    assert sizes == [8, 8, 8, 4, 2, 2, 2, 2, 2]
    assert [item["index"] for item in found] == list(range(26))
    for one, other in zip(expected, found, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-6)
        assert other["right"] == one["right"]
    assert short.state.micro_batch == 2
    assert short.state.warnings[0].startswith("out of memory in validation of epoch 1: from here on 4 instead of 8")


@pytest.mark.parametrize(("epoch", "step"), [(0, 3), (1, 1), (1, 0)])
def test_a_run_resumed_afterwards_is_the_same_bit_for_bit(tmp_path, epoch, step):
    keys = {"epochs": 3, "batch_size": 8, "ema_decay": 0.8}
    whole = tiny_trainer(tmp_path / "a", tiny_config(**keys))
    limit(whole, 4, first=1)
    whole.fit()
    stopped = tiny_trainer(tmp_path / "b", tiny_config(**keys), callbacks=[StopAt(epoch, step)])
    limit(stopped, 4, first=1)
    with pytest.raises(StoppedError):
        stopped.fit()
    again = tiny_trainer(tmp_path / "b", tiny_config(**keys))  # has memory enough again
    again.resume()
    again.fit()
    assert_equal(weights(whole), weights(again))
    assert without_time(whole.history) == without_time(again.history)
    assert again.state.warnings == whole.state.warnings


def test_a_single_image_too_many_is_one_sentence(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config(batch_size=8))
    limit(trainer, 0, first=3)
    with pytest.raises(ResourceError, match=r"not enough memory for a single image with the network tiny") as failure:
        trainer.fit()
    assert failure.value.exit_code == 1
    for way_out in ("image.size", "dataset.tile", "another network"):
        assert way_out in failure.value.text()


def test_an_update_that_fails_is_never_repeated(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config())

    def failing():
        raise ERRORS[0]

    trainer.optimizer.step = failing
    with pytest.raises(ResourceError, match="not enough memory: CUDA out of memory"):
        trainer.fit()
    assert trainer.state.micro_batch == 8


@pytest.mark.slow
def test_a_rank_that_runs_out_of_memory_ends_the_run_and_says_how_to_go_on(tmp_path, capfd):
    with pytest.raises(ResourceError, match="a rank lacks memory or disk space"):
        ranks.launch(2, _returned, run_out_of_memory_as_rank, str(tmp_path))
    errors = capfd.readouterr().err
    assert "Rank 1 ran out of memory in optimizer step 2 with 8 images per forward pass on 2 devices." in errors
    assert f"Type the same command again, and add trainer.resume={tmp_path} trainer.micro_batch=4" in errors


def test_other_errors_pass(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config())
    limit(trainer, 0, error=RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        trainer.fit()


@pytest.mark.parametrize("done", [0, 4, 7, 10, 13, 23])
@pytest.mark.parametrize("micro_batch", [1, 2, 3, 10])
def test_evaluation_batches_can_be_cut_anywhere(done, micro_batch):
    sampler = EvaluationSampler(23, 10)
    sampler.start(micro_batch, done)
    assert [index for batch in sampler for index in batch] == list(range(done, 23))
    assert all(1 <= len(batch) <= micro_batch for batch in sampler)


@pytest.mark.parametrize(("error", "says"), [
    (OSError(errno.ENOSPC, "No space left on device", "runs/a/last"), "The disk is full (runs/a/last)"),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), "The disk is full"),
    (ValueError("Error while serializing: I/O error: No space left on device (os error 28)"), "The disk is full"),
    (OSError(errno.EFBIG, "File too large", "runs/a/last"), "A file is larger than this system allows (runs/a/last)"),
    (ValueError("Error while serializing: I/O error: File too large (os error 27)"), "A file is larger"),
    (OSError("270000 requested and 3968 written"), "A file is larger"),
    (RuntimeError("can't start new thread"), "allows no more threads"),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "allows no more threads"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory"),
    (MemoryError(), "not enough memory: MemoryError"),
    (RuntimeError("Caught MemoryError in DataLoader worker process 0.\nTraceback ...\nMemoryError: Unable to allocate "
                  "3 GiB"), "not enough memory: MemoryError: Unable to allocate 3 GiB"),
])
def test_errors_of_the_machine_are_sentences_that_say_how_to_go_on(error, says):
    found = resource_error(error, "resume it with:\n  sightsmith train trainer.resume=runs/a")
    assert says in found.message
    assert "Traceback" not in found.text()
    assert found.text().endswith("then resume it with:\n  sightsmith train trainer.resume=runs/a")


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), FileNotFoundError(errno.ENOENT, "No such file"),
                                   ResourceError("There is not enough memory")])
def test_other_errors_are_left_as_they_are(error):
    assert resource_error(error) is None
    assert not is_out_of_memory(error)
