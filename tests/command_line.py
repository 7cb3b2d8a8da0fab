"""The command line within the test's own process, for what it refuses before anything is trained."""

from __future__ import annotations

import io
import logging.config  # noqa: F401  patched
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import pytest

from sightsmith.cli import main


def within(*arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of ``sightsmith ARGUMENTS``."""
    output, errors = io.StringIO(), io.StringIO()
    with (mock.patch.object(sys, "argv", sys.argv), mock.patch.dict(os.environ),
          mock.patch("logging.config.dictConfig"),  # by which Hydra would silence the loggers of later tests
          redirect_stdout(output), redirect_stderr(errors), pytest.raises(SystemExit) as ended):
        main(list(map(str, arguments)))
    return ended.value.code, output.getvalue(), errors.getvalue()


def refused(*arguments: object) -> str:
    """What is said of a mistake, which ends with 2."""
    code, output, errors = within(*arguments)
    assert code == 2, (arguments, output, errors)
    assert "Error executing job" not in output + errors
    return output + errors
