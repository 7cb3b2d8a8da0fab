"""A run behind HTTP: right answers, and a refusal for whatever else is sent, however much of it at once."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import socket
import subprocess
import sys

import httpx
import numpy as np
import psutil
import pytest
from command_line import refused
from PIL import Image
from volume_files import nifti

from sightsmith.core.util.files import cache_dir


@pytest.fixture(scope="module")
def server(digits):
    """Its process and address; a port that the system chose."""
    process = subprocess.Popen([sys.executable, "-m", "sightsmith", "serve", f"run={digits.run_dir}", "port=0",
                                "megabytes=1", "megapixels=4", "seconds=120"], stdout=subprocess.PIPE, text=True)
    try:
        address = re.fullmatch(r"(http://127.0.0.1:\d+)/\n", process.stdout.readline())[1]
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


def test_a_compressed_volume_has_an_answer_for_each_slice(digits, server, tmp_path):
    """Though its body has no name, and so no suffix."""
    _, address = server
    path = nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    answers = httpx.post(f"{address}/predict", content=path.read_bytes()).json()
    assert [answer["frame"] for answer in answers] == [0, 1, 2]
    for answer, said in zip(answers, digits.predict([path]), strict=True):
        assert answer["labels"][0]["label"] == next(iter(said.scores))


def test_a_form_is_answered_as_its_image(server):
    _, address = server
    path = samples()[0]
    plain = httpx.post(f"{address}/predict", content=path.read_bytes()).json()
    assert httpx.post(f"{address}/predict", files={"file": (path.name, path.read_bytes())}).json() == plain
    without = httpx.post(f"{address}/predict", data={"file": "a.png"}, files={})
    assert without.status_code == 415
    cut = httpx.post(f"{address}/predict", content=b"--x\r\nnothing", headers={
        "content-type": "multipart/form-data; boundary=x"})
    assert cut.status_code == 415


def test_the_page_loads_nothing_from_elsewhere(server):
    page = httpx.get(f"{server[1]}/").text
    assert "/predict" in page
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_a_foreign_name_of_this_machine_is_refused(server):
    _, address = server
    port = address.rpartition(":")[2]
    for name, code in (("evil.example", 421), ("localhost", 200), ("127.0.0.1", 200), ("[::1]", 200)):
        assert httpx.get(f"{address}/health", headers={"host": f"{name}:{port}"}).status_code == code


@pytest.fixture
def impatient(digits):
    """A server that gives a request six seconds; its process, host and port."""
    process = subprocess.Popen([sys.executable, "-m", "sightsmith", "serve", f"run={digits.run_dir}", "port=0",
                                "seconds=6", "waiting=2"], stdout=subprocess.PIPE, text=True)
    try:
        yield process, "127.0.0.1", int(re.search(r":(\d+)/", process.stdout.readline())[1])
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_slow_senders_keep_nobody_waiting_and_the_server_ends_when_asked(impatient):
    process, host, port = impatient
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(socket.create_connection((host, port))) for _ in range(20)]
        for sender in senders:
            sender.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n\x89PNG")
        answer = httpx.post(f"http://{host}:{port}/predict", content=samples()[0].read_bytes(), timeout=60)
        assert answer.status_code == 200
        for sender in senders:
            sender.settimeout(60)
            assert b"504" in sender.recv(4096)
        late = stack.enter_context(socket.create_connection((host, port)))
        late.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n\x89PNG")
        process.terminate()
        assert process.wait(30) is not None


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
