"""What Hydra has to say of a run that fails does not reach the screen."""

from __future__ import annotations

import pytest
from command_line import within
from hydra.core.utils import JobReturn, JobStatus

from sightsmith.core.util.errors import StoppedError, UserError
from sightsmith.engine.pipeline import start
from sightsmith.engine.search.trial import failure

RUN = ["train", "task=classification", "dataset.root=x"]


@pytest.mark.parametrize(("error", "code"), [(UserError("no"), 2), (StoppedError("no"), 130), (MemoryError("no"), 1)])
def test_a_run_that_fails_says_so_itself(monkeypatch, error, code):
    def failing(*_):
        raise error
    monkeypatch.setattr(start, "start", failing)
    ended, output, errors = within(*RUN)
    assert ended == code
    assert "Error executing job" not in output + errors and "HYDRA_FULL_ERROR" not in output + errors


def test_an_error_of_ours_keeps_its_traceback(monkeypatch, capsys):
    def failing(*_):
        raise ZeroDivisionError("a fault of ours")
    monkeypatch.setattr(start, "start", failing)
    with pytest.raises(ZeroDivisionError) as raised:
        within(*RUN)
    assert raised.traceback[-1].name == "failing"


def test_a_trial_that_fails_is_quiet(capsys):
    result = JobReturn(overrides=["a=1"], status=JobStatus.FAILED)
    result.return_value = error = UserError("no")
    assert failure(result) is error
    result.return_value = StoppedError()
    with pytest.raises(StoppedError):
        failure(result)
    result.status, result.return_value = JobStatus.COMPLETED, 0.5
    assert failure(result) is None
    assert capsys.readouterr() == ("", "")
