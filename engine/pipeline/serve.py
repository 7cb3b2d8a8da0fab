"""``sightsmith serve``: predictions of a finished run over HTTP. There is no authentication.

Bodies are limited in bytes and pixels, waiting requests in number, and each request in time. One prediction is computed
at a time, because more threads would only share the same cores.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.images import announced_pixels
from sightsmith.engine.data.masks import encode
from sightsmith.engine.pipeline.predict_files import ImagePrediction
from sightsmith.engine.pipeline.result import Result

TOO_LARGE, NO_IMAGE, TOO_MANY, TOO_LONG = 413, 415, 429, 504


@dataclass(frozen=True)
class Limits:
    """``megabytes`` of a request's body, ``megapixels`` of all its frames, ``seconds`` until it is answered, and the
    number of requests ``waiting``."""

    megabytes: float = 20.0
    megapixels: float = 50.0
    seconds: float = 30.0
    waiting: int = 256


def application(result: Result, limits: Limits) -> FastAPI:
    """The server's routes. The model is built at once."""
    app = FastAPI(title=f"sightsmith {result.task.config.name}", version=version("sightsmith"))
    _ = result.predictor
    worker = ThreadPoolExecutor(1)
    under_way = 0

    @app.get("/health")
    def health() -> dict[str, str]:
        """Whether the server is running."""
        return {"status": "ok"}

    @app.get("/model")
    def model() -> dict[str, Any]:
        """Task, network and classes of the model, and its validation metrics."""
        task = result.task
        return {"task": task.config.task.name, "network": task.network.name, "classes": list(result.classes),
                "multi_label": task.multi_label, "input_size": task.input_size(), "metrics": result.metrics,
                "run": result.run_dir.name}

    body = {"requestBody": {"required": True, "content": {
        kind: {"schema": {"type": "string", "format": "binary"}}
        for kind in ("image/jpeg", "image/png", "image/tiff", "image/bmp", "application/dicom")}}}
    errors: dict[int | str, dict[str, Any]] = {
        TOO_LARGE: {"description": "too many bytes or pixels"},
        NO_IMAGE: {"description": "not a readable image"}, TOO_MANY: {"description": "too many requests are waiting"},
        TOO_LONG: {"description": "the prediction took too long"}}

    @app.post("/predict", openapi_extra=body, responses=errors)
    async def predict(request: Request) -> JSONResponse:
        """The prediction for the image in the body: a list with an entry for each frame."""
        nonlocal under_way
        if under_way >= limits.waiting:
            raise HTTPException(TOO_MANY, f"{under_way} requests are waiting; try again later")
        under_way += 1
        try:
            with tempfile.NamedTemporaryFile(prefix="sightsmith-", suffix=".image") as file:
                await _receive(request, file.write, limits)
                file.flush()
                answer = asyncio.get_running_loop().run_in_executor(worker, _predicted, result, Path(file.name), limits)
                try:
                    return JSONResponse(await asyncio.wait_for(asyncio.shield(answer), limits.seconds))
                except asyncio.TimeoutError:
                    answer.cancel()  # if it has started, it fails for want of its file, and nobody waits for it
                    raise HTTPException(TOO_LONG, f"not done within {limits.seconds:g} s") from None
        except ImageError as error:
            raise HTTPException(NO_IMAGE, str(error)) from error
        finally:
            under_way -= 1

    return app


async def _receive(request: Request, write: Callable[[bytes], object], limits: Limits) -> None:
    """Receive the body in chunks. Raises HTTPException as soon as it is known to be too large."""
    limit = int(limits.megabytes * 2**20)
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise HTTPException(TOO_LARGE, f"the body is larger than {limits.megabytes:g} MiB")
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise HTTPException(TOO_LARGE, f"the body is larger than {limits.megabytes:g} MiB")
            write(chunk)
    except ClientDisconnect as error:
        raise HTTPException(NO_IMAGE, "the body was cut short") from error


def _predicted(result: Result, path: Path, limits: Limits) -> list[dict[str, Any]]:
    """Raises ImageError and HTTPException."""
    pixels = announced_pixels(path, result.plugins.image_readers.values())
    if pixels > 1e6 * limits.megapixels:
        raise HTTPException(TOO_LARGE, f"the image has {pixels / 1e6:.1f} million pixels; "
                            f"the limit is {limits.megapixels:g}")
    try:
        found = list(result.predict([path]))
    except UserError as error:
        raise ImageError(error.problems[0].message if error.problems else error.message) from error
    answers = []
    for prediction in found:
        content = ImagePrediction("", prediction).to_json()
        del content["image"]
        if prediction.semantic_mask is not None:
            content["masks"] = [
                {"label": name, "mask": {"size": list(prediction.semantic_mask.shape), "counts": runs.counts.decode()}}
                for number, name in enumerate(result.classes, 1) if (prediction.semantic_mask == number).any()
                for runs in [encode(prediction.semantic_mask == number)]]
        answers.append(content)
    return answers


def serve(result: Result, host: str, port: int, limits: Limits) -> None:
    """Answer requests until stopped; ``port`` 0 takes any free one. Raises UserError if it cannot listen there."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(application(result, limits), log_level="warning"))
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UserError(f"host={host} port={port}: {error.strerror or error}",
                        hint="choose another port, or host=127.0.0.1") from error
    with listening:
        print(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/docs", flush=True)
        server.run(sockets=[listening])
