"""The kept model, trained once more on all cases, by the schedule of the folds.

Nothing is left to score it on. Its score is that of the folds, whose models had fewer cases than it has.
"""

from __future__ import annotations

from dataclasses import replace

from sightsmith.core.contracts.report import Section
from sightsmith.core.util.text import counted, format_metric
from sightsmith.engine.data.tiling import tile_dataset
from sightsmith.engine.pipeline.cross_validation import CrossValidation, Reporters, train_like_folds
from sightsmith.engine.pipeline.kept_model import KeptModel, scored_by_folds
from sightsmith.engine.pipeline.stages import PlannedRun, RunContext
from sightsmith.engine.runs.run_dir import RunDir


def refit(context: RunContext, planned: PlannedRun, run: RunDir, own: KeptModel, folds: CrossValidation,
          reporters: Reporters) -> KeptModel:
    """``own`` with weights trained on all images, in ``run``'s folder ``refit``, and with the scores of ``folds``.

    An interrupted training is resumed. Called on every rank.
    """
    task, epochs = planned.task, folds.epochs
    every = replace(planned.dataset, train=planned.dataset.index.samples, validation=())
    every = tile_dataset(every, planned.config.dataset.tile, task)
    training = train_like_folds(context, planned, every.train, ())
    with reporters(training, epochs, number=len(folds.folds) + 1) as callbacks:
        trainer = training.trainer(RunDir(run.path / "refit"), planned.plan, callbacks)
        trainer.fit(epochs)
    weights = {name: value.detach().cpu().clone() for name, value in trainer.eval_model.state_dict().items()}
    images, cases = (len({getattr(sample, kind) for sample in every.train}) for kind in ("image", "case"))
    said = (f"Refitted on all {images} images, {cases} cases, for {counted(epochs, 'epoch')} like each fold; its score "
            f"is that of the folds: {task.score} {format_metric(folds.score)}, {folds.interval}")
    context.console.print(said)
    note = (f"{said}. Its training has seen the validation images too, so that only other images can show how good it "
            "is. All other results of this report are those of the folds, each on the images that it left out.")
    return replace(scored_by_folds(context, planned, own, folds, "validation, before the refit"), weights=weights,
                   seconds=own.seconds + trainer.state.seconds,
                   origin={"made_by": "refit", "epochs": epochs, "images": images, "cases": cases},
                   sections=(Section("Refit", note), *own.sections))
