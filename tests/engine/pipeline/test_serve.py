"""A run behind HTTP: right answers, and a refusal for whatever else is sent, however much of it at once."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys

import httpx
import numpy as np
import psutil
import pytest
from command_line import refused
from PIL import Image

from sightsmith.core.util.files import cache_dir


@pytest.fixture(scope="module")
def server(digits):
    """Its process and address; a port that the system chose."""
    process = subprocess.Popen([sys.executable, "-m", "sightsmith", "serve", f"run={digits.run_dir}", "port=0",
                                "megabytes=1", "megapixels=4", "seconds=120"], stdout=subprocess.PIPE, text=True)
    try:
        address = re.fullmatch(r"(http://127.0.0.1:\d+)/docs\n", process.stdout.readline())[1]
        with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:
            assert client.get(f"{address}/health", timeout=60).json() == {"status": "ok"}
        yield process, address
    finally:
        process.kill()
        process.wait()


def samples():
    return sorted((cache_dir() / "samples" / "classification").rglob("*.png"))[::40]


def test_answers_are_those_of_predict(digits, server):
    _, address = server
    card = httpx.get(f"{address}/model").json()
    assert card["classes"] == list(digits.classes)
    assert card["metrics"]["accuracy"] == digits.metrics["accuracy"]
    for path, said in zip(samples()[:5], digits.predict(samples()[:5]), strict=True):
        [answer] = httpx.post(f"{address}/predict", content=path.read_bytes()).json()
        assert [entry["label"] for entry in answer["labels"]] == list(said.scores)[:5]
        assert [entry["score"] for entry in answer["labels"]] == pytest.approx(list(said.scores.values())[:5], abs=1e-5)
    schema = httpx.get(f"{address}/openapi.json").json()
    assert set(schema["paths"]) == {"/health", "/model", "/predict"}
    assert {"413", "415", "429", "504"} <= schema["paths"]["/predict"]["post"]["responses"].keys()


def png(side):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.slow
def test_two_hundred_at_once(server):
    process, address = server
    good = [path.read_bytes() for path in samples()]
    bodies, large = [], png(3000)
    for number in range(200):
        image = good[number % len(good)]
        bodies.append([(image, {200}), (image[: len(image) // 2], {415}), (b"no image at all", {415}), (b"", {415}),
                       (large, {413}), (b"\x89PNG" + bytes(2 * 2**20), {413})][number % 6])
    before = psutil.Process(process.pid).memory_info().rss

    async def all_at_once():
        async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=200)) as client:
            return await asyncio.gather(*(client.post(f"{address}/predict", content=body) for body, _ in bodies))

    answers = asyncio.run(all_at_once())
    for answer, (body, expected) in zip(answers, bodies, strict=True):
        assert answer.status_code in expected, (body[:20], answer.status_code, answer.text)
        assert answer.status_code == 200 or answer.json()["detail"]
    assert process.poll() is None
    assert psutil.Process(process.pid).memory_info().rss - before < 300 * 2**20
    assert httpx.get(f"{address}/health").json() == {"status": "ok"}


def test_limits_of_number_and_time(digits):
    from fastapi.testclient import TestClient

    from sightsmith.engine.pipeline.serve import Limits, application

    image = samples()[0].read_bytes()
    full = TestClient(application(digits, Limits(waiting=0)))
    assert full.post("/predict", content=image).status_code == 429
    slow = TestClient(application(digits, Limits(seconds=0.0)))
    assert slow.post("/predict", content=image).status_code == 504
    assert slow.get("/health").status_code == 200


def test_mistakes(digits, server, tmp_path):
    taken = server[1].rpartition(":")[2]
    for arguments, says in (([f"run={tmp_path}"], "is not a finished run"),
                            ([f"run={digits.run_dir}", "port=high"], "is not a whole number from 0 to 65535"),
                            ([f"run={digits.run_dir}", "seconds=0"], "is not a number from 0.1 to 86400"),
                            ([f"run={digits.run_dir}", "port=80.5"], "is not a whole number from 0 to 65535"),
                            ([f"run={digits.run_dir}", f"port={taken}"], "Address already in use"),
                            ([f"run={digits.run_dir}", "host=no.such.host.invalid"], "host=no.such.host.invalid"),
                            ([f"run={digits.run_dir}", "prot=1"], "unknown key 'prot'")):
        assert says in refused("serve", *arguments)
