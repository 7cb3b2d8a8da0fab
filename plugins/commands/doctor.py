"""``sightsmith doctor``: check the installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightsmith.plugins.commands.settings import flag, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Doctor:
    """Check the installation: versions, devices, missing packages and how to install them. Exit code 1: there is a
    problem."""

    json: bool = flag("print a JSON array")


def doctor_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Doctor, arguments, plugins.commands["doctor"])

    from sightsmith.plugins.commands.diagnosis import findings, print_findings
    from sightsmith.plugins.commands.output import print_json

    found = findings(plugins)
    if options.json:
        print_json([finding.to_json() for finding in found])
    else:
        print_findings(found)
    return 0 if all(finding.ok for finding in found) else 1
