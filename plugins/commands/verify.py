"""``sightsmith verify``: check that a finished run is reproducible."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.files import resolved_path
from sightsmith.engine.config.run_names import find_run
from sightsmith.plugins.commands.settings import flag, key, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Verify:
    """Compare a finished run's lock file with the current data, files and environment. With rerun=true, train it again
    and compare the weights. Exit code 0: everything is identical."""

    run: Path = key("the run: its folder, its name, or last", metavar="RUN", offers="runs",
                    elsewhere=("model", "weights"))
    rerun: bool = key("train again in a new run folder", False)
    json: bool = flag("print one JSON object")


def verify_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Verify, arguments, plugins.commands["verify"])

    from sightsmith.engine.pipeline import verify
    from sightsmith.plugins.commands.output import print_json, stdout_as_stderr

    run = resolved_path(find_run(options.run))
    checks = verify.check_run(run, (lambda line: None) if options.json else print, plugins)
    if not options.json:
        verify.print_checks(checks)
    again = None
    if options.rerun:
        with stdout_as_stderr(options.json):
            again = verify.train_again(run, checks, plugins)
    if options.json:
        print_json({"checks": [asdict(item) for item in checks], "rerun": again and again.to_json()})
    else:
        print(*(again.lines() if again else ()), verify.closing(run, checks, again), sep="\n")
    return 0 if all(item.state == verify.SAME for item in checks) and (again is None or again.same) else 1
