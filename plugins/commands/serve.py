"""``sightsmith serve``: serve a finished run's predictions over HTTP."""

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
    """Serve a finished run's predictions over HTTP: GET /health, GET /model, and POST /predict with an image's bytes
    as the body; GET / is a page to try it. Needs `pip install 'sightsmith[serve]'`. There is no authentication; run
    it only on a network you trust."""

    run: Path = key("the run: its folder, its name, or last", metavar="RUN", offers="runs",
                    elsewhere=("model", "weights"))
    host: str = key("the address to listen on", "127.0.0.1")
    port: int = key("the port; 0: any free port", 8000, low=0, high=65_535)
    megabytes: float = key("maximum size of a request body", 20.0, low=0.001, high=10_000)
    megapixels: float = key("maximum size of an image, over all frames", 50.0, low=0.001, high=10_000)
    seconds: float = key("maximum time until the response", 30.0, low=0.1, high=86_400)
    waiting: int = key("maximum number of waiting requests", 256, low=1, high=100_000)


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
