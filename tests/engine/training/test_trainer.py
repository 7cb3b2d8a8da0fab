"""The loop: accumulation, ranks, resume and stopping are exact."""

from __future__ import annotations

import os
import signal
from types import SimpleNamespace

import pytest
import torch
from tiny import hang_as_rank, tiny_config, tiny_trainer, train_as_rank

from sightsmith.core.util.errors import HungError, NonFiniteLossError, StoppedError
from sightsmith.engine.runs.checkpoint import load_tree, save_tree
from sightsmith.engine.training import distributed as ranks
from sightsmith.engine.training import saving


def weights(trainer):
    return {name: value.clone() for name, value in trainer.unwrapped.state_dict().items()}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def assert_close(first, second, tolerance=1e-6):
    for name in first:
        torch.testing.assert_close(torch.as_tensor(first[name]), torch.as_tensor(second[name]), rtol=tolerance,
                                   atol=tolerance)


def without_time(history):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in history]


@pytest.mark.parametrize("images", [24, 26], ids=["even", "with a rest"])
def test_accumulation_gives_the_update_of_the_whole_batch(tmp_path, images):
    whole = tiny_trainer(tmp_path / "a", tiny_config(batch_size=8), images=images)
    whole.fit()
    cut = tiny_trainer(tmp_path / "b", tiny_config(batch_size=2, gradient_accumulation=4), images=images)
    cut.fit()
    assert_close(weights(whole), weights(cut))


def test_accumulation_differs_from_small_batches(tmp_path):
    """Guards the test above: updates of 2 must not look like updates of 8."""
    whole = tiny_trainer(tmp_path / "a", tiny_config(batch_size=8))
    whole.fit()
    small = tiny_trainer(tmp_path / "b", tiny_config(batch_size=2))
    small.fit()
    with pytest.raises(AssertionError):
        assert_close(weights(whole), weights(small))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_final_results_are_those_of_fp32_whatever_the_precision_of_the_training(tmp_path, ema):
    exact = tiny_trainer(tmp_path / "a", tiny_config(ema_decay=ema)).evaluate()
    trainer = tiny_trainer(tmp_path / "b", tiny_config(ema_decay=ema), precision="bf16")
    rough = trainer.evaluate()
    assert str(rough) != str(exact)
    assert str(trainer.evaluate(final=True)) == str(exact)
    assert str(trainer.evaluate()) == str(rough)


@pytest.mark.slow
@pytest.mark.parametrize("keys", [{"batch_size": 8}, {"batch_size": 4, "gradient_accumulation": 2,
                                                      "clip_grad_norm": 0.5, "ema_decay": 0.9,
                                                      "freeze_epochs": 1, "layer_decay": 0.5}])
def test_two_ranks_equal_one(tmp_path, keys, monkeypatch):
    monkeypatch.setattr(ranks, "START_METHOD", "forkserver")  # of what is imported already
    alone, history = train_as_rank(str(tmp_path / "one"), keys)
    (tmp_path / "two").mkdir()
    pair, pair_history = ranks.launch(2, train_as_rank, str(tmp_path / "two"), keys)
    assert_close(alone, pair)
    for one, two in zip(history, pair_history, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-6)
        assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-6)
        assert two["accuracy"] == one["accuracy"]


@pytest.mark.slow
def test_a_hang_is_broken_and_says_where_each_rank_was(tmp_path, capfd):
    with pytest.raises(HungError, match=r"of 2 made no progress for longer than trainer.watchdog_minutes"):
        ranks.launch(2, hang_as_rank, str(tmp_path))
    output = capfd.readouterr().err
    assert ("rank 1 has made no progress for 0.1 minutes: epoch 1, optimizer step 3, micro-batch 1, loading images"
            in output)
    assert "in stuck" in output  # the line of code


class StopAt:
    """Sends this process a signal after an update, as Ctrl-C would."""

    def __init__(self, epoch, step, number=signal.SIGINT):
        self.epoch, self.step, self.number = epoch, step, number

    def on_step(self, state, losses, rate):
        if (state.epoch, state.step) == (self.epoch, self.step):
            os.kill(os.getpid(), self.number)

    def on_validation(self, done, batches):
        pass

    def on_warning(self, message):
        pass

    def on_epoch(self, state, metrics):
        if state.epoch == self.epoch and self.step == 0:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 2), (1, 0), (3, 0)])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path, epoch, step, number):
    keys = {"epochs": 3, "ema_decay": 0.8, "optimizer": "adamw", "schedule": "cosine", "gradient_accumulation": 2,
            "batch_size": 4}
    whole = tiny_trainer(tmp_path / "a", tiny_config(**keys))
    whole.fit()
    stopped = tiny_trainer(tmp_path / "b", tiny_config(**keys), callbacks=[StopAt(epoch, step, number)])
    with pytest.raises(StoppedError):
        stopped.fit()
    again = tiny_trainer(tmp_path / "b", tiny_config(**keys))
    again.resume()
    assert (again.state.epoch, again.state.step) == (epoch, step)
    again.fit()
    assert_equal(weights(whole), weights(again))
    assert_equal(whole.ema.state_dict(), again.ema.state_dict())
    assert without_time(whole.history) == without_time(again.history)
    assert whole.run.best.read_bytes() == again.run.best.read_bytes()


@pytest.mark.parametrize("keys", [
    {"schedule": "plateau", "lr_step_size": 1, "lr_gamma": 0.5, "learning_rate": 1.0},
    {"freeze_epochs": 2, "layer_decay": 0.5, "optimizer": "adamw", "clip_grad_norm": 1.0},
], ids=["plateau", "head first"])
@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (2, 0), (3, 1)])
def test_schedules_with_a_memory_go_on_bit_for_bit(tmp_path, keys, epoch, step):
    keys = {"epochs": 5, "early_stop": False, "ema_decay": 0.9, **keys}
    whole = tiny_trainer(tmp_path / "a", tiny_config(**keys))
    whole.fit()
    stopped = tiny_trainer(tmp_path / "b", tiny_config(**keys), callbacks=[StopAt(epoch, step)])
    with pytest.raises(StoppedError):
        stopped.fit()
    again = tiny_trainer(tmp_path / "b", tiny_config(**keys))
    again.resume()
    again.fit()
    assert_equal(weights(whole), weights(again))
    assert_equal(whole.ema.state_dict(), again.ema.state_dict())
    assert without_time(whole.history) == without_time(again.history)


def test_plateaus_of_the_validation_lower_the_learning_rate(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config(epochs=7, schedule="plateau", lr_step_size=2, lr_gamma=0.1))
    losses = iter([3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0])
    trainer.task.metrics = lambda outcomes: {"loss": next(losses), "accuracy": 0.5}
    trainer.fit()
    assert [entry["learning_rate"] for entry in trainer.history] == pytest.approx(
        [0.05, 0.05, 0.05, 0.05, 0.005, 0.005, 0.0005])


def test_the_backbone_rests_while_only_the_heads_learn(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config(epochs=2, freeze_epochs=1, optimizer="adamw", weight_decay=0.1))
    before = weights(trainer)
    trainer.fit(1)
    resting, learning = ("layers.0.weight", "layers.0.bias"), ("layers.3.weight", "layers.3.bias")
    assert all(torch.equal(weights(trainer)[name], before[name]) for name in resting)
    assert not any(torch.equal(weights(trainer)[name], before[name]) for name in learning)
    trainer.fit()
    assert not any(torch.equal(weights(trainer)[name], before[name]) for name in (*resting, *learning))


def test_a_finished_run_resumed_does_nothing(tmp_path):
    first = tiny_trainer(tmp_path, tiny_config())
    first.fit()
    again = tiny_trainer(tmp_path, tiny_config())
    again.resume()
    again.fit()
    assert_equal(weights(first), weights(again))


def test_checkpoints_are_written_within_a_long_epoch(tmp_path):
    seen = []

    class Look(StopAt):
        def on_step(self, state, losses, rate):
            seen.append(trainer.run.last.is_file())

    trainer = tiny_trainer(tmp_path, tiny_config(epochs=1, checkpoint_minutes=1e-9), callbacks=[Look(9, 9)])
    trainer.fit()
    assert seen[0] is False
    assert all(seen[1:])


class DieAt(StopAt):
    """Raises an error after an epoch, and before looks which epoch the checkpoints are of."""

    def on_epoch(self, state, metrics):
        self.clock.append(self.clock[-1] + 30)
        last, best = load_tree(self.run.last), load_tree(self.run.best)
        assert last["state"]["best_epoch"] == best["epoch"]
        self.seen.append(last["state"]["epoch"])
        if state.epoch == self.epoch:
            raise KeyError("killed")


def test_short_epochs_are_not_all_written_and_a_killed_run_repeats_them(tmp_path, monkeypatch):
    keys = {"epochs": 11, "ema_decay": 0.8, "optimizer": "adamw"}
    whole = tiny_trainer(tmp_path / "a", tiny_config(**keys))
    whole.fit()
    clock = [0.0]

    def save(path, tree):
        clock.append(clock[-1] + (1.0 if path.name == "state.safetensors" else 0.0))
        save_tree(path, tree)

    monkeypatch.setattr(saving, "save_tree", save)
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: clock[-1]))
    look = DieAt(8, 0)
    killed = tiny_trainer(tmp_path / "b", tiny_config(**keys), callbacks=[look])
    look.clock, look.run, look.seen = clock, killed.run, []
    with pytest.raises(KeyError, match="killed"):
        killed.fit()
    assert look.seen == [1, 1, 1, 1, 5, 5, 5, 5]  # a second is one part of a hundred of 100 seconds
    again = tiny_trainer(tmp_path / "b", tiny_config(**keys))
    again.resume()
    assert (again.state.epoch, len(again.history)) == (5, 5)
    again.fit()
    assert_equal(weights(whole), weights(again))
    assert without_time(whole.history) == without_time(again.history)
    assert_equal(load_tree(whole.run.best)["model"], load_tree(again.run.best)["model"])


def test_a_loss_that_is_not_finite_stops_with_step_and_parts(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config(), explode_at=6)
    where = r"epoch 2, optimizer step 2: loss nan, loss_cls nan, loss_extra 0\.\d+"
    with pytest.raises(NonFiniteLossError, match=where):
        trainer.fit()
    again = tiny_trainer(tmp_path, tiny_config())
    again.resume()
    assert again.state.epoch == 1
    assert all(value.isfinite().all() for value in weights(again).values())


def test_early_stop_waits_for_patience(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config(epochs=50, learning_rate=1.0, patience=2))
    trainer.fit()
    losses, scores = ([entry[name] for entry in trainer.history] for name in ("loss", "accuracy"))
    last_success = max(losses.index(min(losses)), scores.index(max(scores)))
    assert len(losses) < 50
    assert len(losses) - 1 - last_success == 2
    full = tiny_trainer(tmp_path / "full", tiny_config(epochs=12, learning_rate=1.0, patience=2, early_stop=False))
    full.fit()
    assert len(full.history) == 12


def test_a_rising_score_keeps_a_run_going_while_the_loss_rises(tmp_path):
    trainer = tiny_trainer(tmp_path, tiny_config(epochs=9, patience=2))
    figures = iter([(1.0, 0.0), (2.0, 0.1), (3.0, 0.2), (4.0, 0.3), (5.0, 0.3), (6.0, 0.2), (7.0, 0.9)])
    trainer.task.metrics = lambda outcomes: dict(zip(("loss", "accuracy"), next(figures), strict=True))
    trainer.fit()
    assert [entry["loss"] for entry in trainer.history] == [1, 2, 3, 4, 5, 6]


def test_clipping_bounds_the_update(tmp_path):
    before = weights(tiny_trainer(tmp_path / "a", tiny_config()))
    trainer = tiny_trainer(tmp_path / "b", tiny_config(epochs=1, batch_size=32, clip_grad_norm=1e-3, momentum=0.0))
    trainer.fit()
    moved = sum((weights(trainer)[name] - before[name]).square().sum() for name in before).sqrt()
    assert 0 < moved <= 0.05 * 1e-3 * 1.001


def test_the_best_checkpoint_is_that_of_the_best_score(tmp_path):
    from sightsmith.engine.runs.checkpoint import load_tree

    trainer = tiny_trainer(tmp_path, tiny_config(epochs=6))
    trainer.fit()
    scores = [entry["accuracy"] for entry in trainer.history]
    best = load_tree(trainer.run.best)
    assert best["epoch"] == scores.index(max(scores)) + 1
    assert best["metrics"]["accuracy"] == max(scores)
