"""``sightsmith serve``: a finished run behind HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsmith.core.util.errors import UserError
from sightsmith.plugins.commands.settings import key, parse

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class Serve:
    """Answer over HTTP with a finished run's predictions: GET /health, GET /model, POST /predict with the image's bytes
    as body; GET /docs describes them. Needs `pip install 'sightsmith[serve]'`. There is no authentication; run it only
    on a network you trust."""

    run: Path = key("the run's folder", metavar="DIR")
    host: str = key("the address to listen at", "127.0.0.1")
    port: int = key("the port; 0 takes any that is free", 8000, low=0, high=65_535)
    megabytes: float = key("largest body of a request", 20.0, low=0.001, high=10_000)
    megapixels: float = key("largest image, all frames together", 50.0, low=0.001, high=10_000)
    seconds: float = key("longest time until an answer", 30.0, low=0.1, high=86_400)
    waiting: int = key("most requests that may wait", 256, low=1, high=100_000)


def serve_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(Serve, arguments, plugins.commands["serve"])

    from sightsmith.engine.pipeline.result import Result

    try:
        from sightsmith.engine.pipeline.serve import Limits, serve
    except ModuleNotFoundError as error:
        raise UserError(f"`sightsmith serve` needs {error.name}, which is not installed.",
                        hint="pip install 'sightsmith[serve]'") from error
    limits = Limits(options.megabytes, options.megapixels, options.seconds, options.waiting)
    serve(Result.load(options.run, plugins), options.host, options.port, limits)
    return 0
