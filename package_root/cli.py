"""The command line: ``sightsmith COMMAND ...``. Plugins provide the commands; heavy libraries are imported on demand.

Exit codes: 0 success; 1 internal error or failed run; 2 invalid input or configuration; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import sightsmith
from sightsmith.usage import usage

FAMILIAR = {"val": "evaluate", "validate": "evaluate", "test": "evaluate", "eval": "evaluate", "fit": "train",
            "detect": "predict", "infer": "predict", "check": "inspect"}
"""What other trainers call a command; some have the task before it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what it cannot show, such as a name that is not UTF-8, is escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        sys.exit(0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        print(f"sightsmith {sightsmith.__version__}")
        sys.exit(0)
    if arguments[0] == "--complete":
        from sightsmith.completion import completions

        for offered in completions(arguments[1:]):
            print(offered)
        sys.exit(0)
    sys.exit(_run(*arguments))


def _run(name: str, *arguments: str) -> int:
    """Run a command and return its exit code. Errors for the user are printed without a traceback."""
    from sightsmith.core.plugins.manager import load_plugins
    from sightsmith.core.util.errors import (
        ExportError,
        FailedRunsError,
        HungError,
        NonFiniteLossError,
        StoppedError,
        UserError,
        near,
    )
    from sightsmith.engine.runs.library_warnings import warnings_in_log
    from sightsmith.engine.runs.resources import resource_error, small_address_space

    if warning := small_address_space():
        print(warning, file=sys.stderr)
    try:
        plugins = load_plugins()
        if name not in plugins.commands:
            known = next((word for word in arguments[:1] if word in plugins.commands), FAMILIAR.get(name))
            meant = f" Type `sightsmith {known}`." if known else near(name, plugins.commands)
            raise UserError(f"sightsmith: unknown command {name!r}.{meant}",
                            hint=f"`sightsmith --help` shows all commands.{plugins.not_loaded()}")
        with warnings_in_log():
            return int(plugins.commands[name].make(list(arguments), plugins))
    except UserError as error:
        print(error.text(), file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, StoppedError):
        return 130
    except NonFiniteLossError as error:
        print(f"Training stopped: {error}\nTry a smaller hyper.learning_rate, hyper.clip_grad_norm=1, or "
              "trainer.precision=fp32.", file=sys.stderr)
        return 1
    except (HungError, FailedRunsError, ExportError) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `sightsmith list networks | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        lacking = resource_error(error)
        if lacking is None:
            raise
        print(lacking.text(), file=sys.stderr)
        return lacking.exit_code
