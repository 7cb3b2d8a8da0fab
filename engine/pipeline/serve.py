"""``sightsmith serve``: predictions of a finished run over HTTP. There is no authentication.

Bodies are limited in bytes and pixels, waiting requests in number, and each request in time, sending included. An image
is first decoded in a process of its own, which is limited in memory and ended when the time is over. One prediction is
computed at a time, because more threads would only share the same cores.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

from sightsmith.core.contracts.image import ImageError
from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.masks import encode
from sightsmith.engine.pipeline.result import Result
from sightsmith.engine.pipeline.trial_decoding import TooManyPixelsError, TrialDecoder

TOO_LARGE, NO_IMAGE, WRONG_HOST, TOO_MANY, TOO_LONG = 413, 415, 421, 429, 504
LOOPBACK = ("localhost", "127.0.0.1", "::1")
GRACE = 3
"""Seconds in which requests may end once the server is asked to stop."""
PAGE = Path(__file__).parents[1] / "report" / "templates" / "serve.html"

BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("image/jpeg", "image/png", "image/tiff", "image/bmp", "application/dicom")} | {
    "multipart/form-data": {"schema": {"type": "object", "properties": {
        "file": {"type": "string", "format": "binary"}}}}}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    TOO_LARGE: {"description": "too many bytes or pixels"},
    NO_IMAGE: {"description": "not a readable image"}, TOO_MANY: {"description": "too many requests are waiting"},
    TOO_LONG: {"description": "the prediction took too long"}}
"""What OpenAPI says of ``/predict``."""


@dataclass(frozen=True)
class Limits:
    """``megabytes`` of a request's body, ``megapixels`` of all its frames, ``seconds`` until it is answered, and the
    number of requests ``waiting`` to be computed."""

    megabytes: float = 20.0
    megapixels: float = 50.0
    seconds: float = 30.0
    waiting: int = 256


def application(result: Result, limits: Limits, hosts: Collection[str] = ()) -> FastAPI:
    """The server's routes. The model is built at once. Requests for others than ``hosts`` are refused (none: no matter
    for whom), so that no foreign page can reach a server on this machine by a name of its own."""
    decoder = TrialDecoder(result.plugins.image_readers.values(), result.task.config.image, 1e6 * limits.megapixels)
    # FastAPI's own pages of documentation load scripts from the Internet.
    app = FastAPI(title=f"sightsmith {result.task.config.name}", version=version("sightsmith"), docs_url=None,
                  redoc_url=None, lifespan=_running(decoder))
    _ = result.predictor
    worker = ThreadPoolExecutor(1)
    under_way = 0

    if hosts:
        _answer_only(app, hosts)

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

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

    @app.post("/predict", openapi_extra=BODY, responses=ERRORS)
    async def predict(request: Request) -> JSONResponse:
        """The prediction for the image in the body, or in the form field ``file``: a list with an entry a frame."""
        try:
            return await asyncio.wait_for(answered(request, time.monotonic() + limits.seconds), limits.seconds)
        except asyncio.TimeoutError:
            raise HTTPException(TOO_LONG, f"not done within {limits.seconds:g} s") from None

    async def answered(request: Request, until: float) -> JSONResponse:
        nonlocal under_way
        with tempfile.NamedTemporaryFile(prefix="sightsmith-", suffix=".image") as file:
            await _receive(request, file, limits)
            if under_way >= limits.waiting:  # a client that is still sending holds up no other
                raise HTTPException(TOO_MANY, f"{under_way} requests are waiting; try again later")
            under_way += 1
            # If it is cancelled after it has started, it fails because its file is gone, and no request waits for it.
            try:
                return JSONResponse(await asyncio.get_running_loop().run_in_executor(
                    worker, _predicted, result, decoder, Path(file.name), until))
            except TooManyPixelsError as error:
                raise HTTPException(TOO_LARGE, str(error)) from error
            except ImageError as error:
                raise HTTPException(NO_IMAGE, str(error)) from error
            finally:
                under_way -= 1

    return app


def _running(decoder: TrialDecoder) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """``decoder`` runs as long as the server."""
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        decoder.start()
        yield
        decoder.close()
    return running


def _answer_only(app: FastAPI, hosts: Collection[str]) -> None:
    @app.middleware("http")
    async def check_host(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.hostname not in hosts:
            return JSONResponse({"detail": f"this server answers for {', '.join(sorted(hosts))}"}, WRONG_HOST)
        return await answer(request)


async def _receive(request: Request, file: IO[bytes], limits: Limits) -> None:
    """Receive the body into ``file`` in chunks, of a form its first file. Raises HTTPException as soon as it is known
    to be too large."""
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
            file.write(chunk)
    except ClientDisconnect as error:
        raise HTTPException(NO_IMAGE, "the body was cut short") from error
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        _keep_file_of_form(dict(request.headers.items()), file)
    file.flush()


def _keep_file_of_form(headers: dict[str, str], file: IO[bytes]) -> None:
    """Replace the form in ``file`` by the first file in it. Raises HTTPException if there is none."""
    from python_multipart import parse_form
    from python_multipart.exceptions import FormParserError

    found: list[Any] = []
    file.seek(0)
    try:
        fields = {name.title(): value.encode() for name, value in headers.items()}
        parse_form(fields, file, lambda field: None, found.append)
        if not found:
            raise HTTPException(NO_IMAGE, "the form has no file; `curl -F file=@a.png` sends one")
        file.seek(0)
        file.truncate()
        found[0].file_object.seek(0)
        shutil.copyfileobj(found[0].file_object, file)
    except FormParserError as error:
        raise HTTPException(NO_IMAGE, f"the form cannot be read: {error}") from error
    finally:
        for part in found:
            part.close()


def _predicted(result: Result, decoder: TrialDecoder, path: Path, until: float) -> list[dict[str, Any]]:
    """Raises ImageError. ``until`` is on the monotonic clock."""
    decoder.decode(path, max(until - time.monotonic(), 0))
    try:
        found = result.predict(path, "cpu")
    except UserError as error:
        raise ImageError(error.problems[0].message if error.problems else error.message) from error
    answers = []
    for prediction in found:
        content = prediction.to_json()
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

    hosts = {*LOOPBACK, host} if host in LOOPBACK else ()
    server = uvicorn.Server(uvicorn.Config(application(result, limits, hosts), log_level="warning",
                                           timeout_graceful_shutdown=GRACE))
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UserError(f"host={host} port={port}: {error.strerror or error}",
                        hint="choose another port, or host=127.0.0.1") from error
    with listening:
        print(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/", flush=True)
        server.run(sockets=[listening])
