"""Asynchronous searches on Ray: on this machine, killed and gone on with, and on a cluster that loses a machine."""

from __future__ import annotations

import json
import tempfile

import pytest
from command_line import refused
from processes import CHECKPOINT, Written, finish, killed_from_outside, run_folder, start, succeed, wait_for
from small_runs import SEARCH
from sweep_tables import numbered, table

import sightsmith

RUN = [*SEARCH, "limits.min_trials=2", "trainer.checkpoint_minutes=0.001"]
PBT = [*RUN, "hyper.epochs=4", "tuner=ray_pbt", "tuner.trials=2", "tuner.options.generations=2"]


@pytest.fixture(autouse=True)
def _local_ray(monkeypatch):
    """No cluster that the machine may have, no key in the home folder, and Ray's files in a folder that goes: of a
    short name, since sockets lie in it."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield


def ended(sweep):
    """When each run that is at its end, or has paused, got there."""
    found = {}
    for path in sweep.glob("*/status.json"):
        status = json.loads(path.read_text())
        if status["status"] == "finished" or status.get("paused"):
            found[path.parent.name] = status["ended"]
    return found


def assert_whole(sweep, members, generations):
    rows = table(sweep)
    assert numbered(sweep) == list(range(len(rows)))
    finished = [row for row in rows if row["status"] == "finished"]
    assert len(finished) == members
    assert len(rows) >= members * generations
    assert {row["epochs"] for row in finished} == {"4"}
    assert all(row["parent"] for row in finished)
    assert not list(sweep.glob(".engine"))
    page = (sweep / "report" / "index.html").read_text()
    for title in ("Trials", "Best so far", "Values and scores", "Lineage"):
        assert f"<h2>{title}</h2>" in page
    best = max(finished, key=lambda row: (float(row["score"]), int(row["trial"])))
    assert sightsmith.load(str(sweep / best["trial"])).metrics["accuracy"] == float(best["score"])


@pytest.mark.slow
def test_a_killed_population_goes_on(tmp_path):
    killed_from_outside(Written(tmp_path, f"*/2/{CHECKPOINT}"), *PBT)
    sweep = run_folder(tmp_path)
    before = ended(sweep)
    assert before
    output = succeed(start(tmp_path, *PBT, "trainer.resume=true"))
    assert "Best: " in output
    assert {name: ended(sweep)[name] for name in before} == before
    assert_whole(sweep, 2, 2)


@pytest.mark.slow
def test_halving_stops_runs_and_counts_those_that_fail(tmp_path):
    search = [*RUN, "hyper.epochs=4", "tuner=ray_asha", "tuner.trials=4",
              "network=shufflenet_v2_x0_5,inception_v3", "tuner.max_failure_rate=1", "trainer.seed=3"]
    output = succeed(start(tmp_path, *search))
    sweep = run_folder(tmp_path)
    rows = table(sweep)
    states = {row["status"] for row in rows}
    assert states == {"finished", "paused", "error"}, rows
    assert "The network inception_v3 cannot take images of 32 px" in output
    failed = [row["network"] for row in rows if row["status"] == "error"]
    assert failed == ["inception_v3"] * len(failed)
    assert len(failed) <= 2  # a member that failed makes no further run


@pytest.mark.slow
def test_a_cluster_that_loses_a_machine_still_searches(tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        process = start(tmp_path, *PBT, f"tuner.options.address={cluster.address}")
        try:
            wait_for(process, lambda: all(list(tmp_path.glob(f"*/{number}/{CHECKPOINT}")) for number in (0, 1)))
            cluster.remove_node(nodes[0], allow_graceful=False)
            code, output = finish(process)
        finally:
            process.kill()
    finally:
        cluster.shutdown()
    assert code == 0, output[-3000:]
    assert_whole(run_folder(tmp_path), 2, 2)


@pytest.mark.parametrize(("overrides", "says"), [
    (["hydra/launcher=joblib"], "tuner=ray_pbt starts its trials itself"),
    (["+tuner.options.generation=3"], "tuner.options.generation Did you mean 'generations'?"),
    (["network=shufflenet_v2_x0_5,resnet18"], "network cannot change during training"),
])
def test_mistakes(tmp_path, overrides, says):
    taken = ("network=",) if overrides[0].startswith("network") else ()
    assert says in refused("train", f"output_dir={tmp_path}",
                           *(text for text in PBT if not text.startswith(taken or " ")), *overrides)
