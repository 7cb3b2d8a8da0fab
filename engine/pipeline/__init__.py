"""Training, evaluation, prediction, export: sequences of steps on a run."""
