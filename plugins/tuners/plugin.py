"""Registers the tuners."""

from __future__ import annotations

from typing import Any

from sightsmith.plugin import TunerRecord, hookimpl

POPULATION = {"hyper.learning_rate": "tag(log,interval(1e-5,0.1))",
              "hyper.weight_decay": "tag(log,interval(5e-6,0.002))", "hyper.momentum": "interval(0.8,0.99)"}
SAMPLED = {"hyper.learning_rate": "tag(log,interval(1e-6,1))", "hyper.weight_decay": "interval(0,0.001)",
           "hyper.momentum": "interval(0,0.9)"}
WHOLE = ("hyper.early_stop=false",)
"""For methods that compare runs after the same number of epochs."""


@hookimpl
def sightsmith_tuners() -> list[TunerRecord]:
    grid = "sightsmith.plugins.tuners.grid:Grid"
    options: dict[str, Any] = {"generations": 5, "quantile": 0.25, "resample": 0.25}
    population: dict[str, Any] = {
        "builder": "sightsmith.plugins.tuners.population:Population", "trials": 24, "overrides": WHOLE,
        "options": options}
    ray: dict[str, Any] = {"address": None, "cpus": None}
    return [
        TunerRecord(name="manual", description="no search; with --multirun all combinations", builder=grid,
                    searches=False),
        TunerRecord(name="auto", description="settings from preference.* and the data, then population based training "
                                             "around them", **population),
        TunerRecord(name="grid", description="all combinations", builder=grid, space={
            "hyper.learning_rate": "0.001,0.01", "hyper.weight_decay": "0,0.001", "hyper.momentum": "0,0.9"}),
        TunerRecord(name="random", description="random search in ranges", trials=8, space=SAMPLED,
                    builder="sightsmith.plugins.tuners.sampling:RandomSearch"),
        TunerRecord(name="tpe", description="tree-structured Parzen estimator: samples near good runs", trials=8,
                    space=SAMPLED, builder="sightsmith.plugins.tuners.sampling:ParzenEstimator"),
        TunerRecord(name="halving", description="successive halving: many short runs, the better half continues",
                    trials=8, space=SAMPLED, builder="sightsmith.plugins.tuners.halving:Halving", overrides=WHOLE,
                    options={"factor": 2}),
        TunerRecord(name="pbt", description="population based training: members copy weights and hyperparameters of "
                                            "better ones", space=POPULATION, **population),
        TunerRecord(name="ray_pbt", description="asynchronous population based training on Ray Tune: one machine or a "
                                                "cluster",
                    trials=24, space=POPULATION, overrides=WHOLE, options={**options, **ray},
                    builder="sightsmith.plugins.tuners.ray_tune:RayPopulation"),
        TunerRecord(name="ray_asha", description="asynchronous successive halving on Ray Tune: one machine or a "
                                                 "cluster",
                    trials=8, space=SAMPLED, overrides=WHOLE, options={"factor": 2, **ray},
                    builder="sightsmith.plugins.tuners.ray_tune:RayHalving"),
    ]
