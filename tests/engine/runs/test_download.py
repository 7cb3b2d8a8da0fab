"""Downloads from a server that breaks off, lies, or is reached by a proxy: the file is complete, or not there."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from weights_server import serving

from sightsmith.engine.runs import download as module
from sightsmith.engine.runs.download import download

CONTENT = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(CONTENT) as running:
        yield running


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_and_nothing_else_is_there(server, tmp_path):
    download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    assert names(tmp_path) == ["w.pth"]
    assert server.asked == [("/w.pth", None)]


def test_a_connection_that_breaks_off_is_continued(server, tmp_path):
    server.most = 100_000
    download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_that_cannot_continue_sends_it_all_again(server, tmp_path):
    (tmp_path / ".w.pth.part").write_bytes(b"x" * 7)
    server.resumes = False
    download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_what_an_interruption_left_is_continued(server, tmp_path):
    (tmp_path / ".w.pth.part").write_bytes(CONTENT[:1234])
    download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert server.asked == [("/w.pth", "bytes=1234-")]
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_what_was_complete_when_it_was_interrupted_is_kept(server, tmp_path):
    (tmp_path / ".w.pth.part").write_bytes(CONTENT)
    download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_without_a_digest_it_starts_again(server, tmp_path):
    (tmp_path / ".w.pth.part").write_bytes(b"of another file")
    download(server.url("w.pth"), tmp_path / "w.pth")
    assert (tmp_path / "w.pth").read_bytes() == CONTENT
    server.most = 10
    with pytest.raises(OSError, match="ended after 10 of 300,000 bytes"):
        download(server.url("v.pth"), tmp_path / "v.pth")
    assert "v.pth" not in names(tmp_path)


def test_a_server_that_sends_nothing_more_is_given_up(server, tmp_path, monkeypatch):
    server.most = 0
    with pytest.raises(OSError, match="ended after 0 of 300,000 bytes"):
        download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert len(server.asked) == 1
    server.most = 10
    with pytest.raises(OSError, match="ended after 100 of 300,000 bytes"):
        download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert len(server.asked) == 1 + module.ATTEMPTS
    assert "w.pth" not in names(tmp_path)


def test_a_corrupted_file_is_refused_and_removed(server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(OSError, match=rf"corrupted, and was removed: its SHA-256 starts with \w{{8}}, not {DIGEST}"):
        download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert not {"w.pth", ".w.pth.part"} & set(names(tmp_path))
    server.content = CONTENT
    download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert names(tmp_path) == ["w.pth"]


@pytest.mark.parametrize(("status", "says"), [(404, "Not Found"), (503, "Service Unavailable")])
def test_an_error_of_the_server_is_the_reason(server, tmp_path, status, says):
    server.status = status
    with pytest.raises(OSError, match=says):
        download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    assert len(server.asked) == 1


def test_size_and_space_are_bounded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(OSError, match="it has 300,000 bytes, more than 1,000"):
        download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)
    monkeypatch.undo()
    usage = type("Usage", (), {"free": 5})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=f"it has 300,000 bytes, and {tmp_path} has 5 free"):
        download(server.url("w.pth"), tmp_path / "w.pth", DIGEST)


def test_only_http(tmp_path):
    (tmp_path / "w").write_bytes(CONTENT)
    with pytest.raises(OSError, match="neither http nor https"):
        download(f"file://{tmp_path}/w", tmp_path / "w.pth", DIGEST)


def test_the_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url("")[:-1])
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    download("http://weights.invalid/w.pth", tmp_path / "w.pth", DIGEST)
    assert server.asked == [("http://weights.invalid/w.pth", None)]
    monkeypatch.setenv("no_proxy", "weights.invalid")
    with pytest.raises(OSError, match="resol|known|not provided"):  # by no proxy, so by a name that nobody has
        download("http://weights.invalid/v.pth", tmp_path / "v.pth", DIGEST)


def test_several_that_want_the_same_file_download_it_once(server, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(download, server.url("w.pth"), tmp_path / "w.pth", DIGEST) for _ in range(4)]
        assert [item.result() for item in done] == [None] * 4
    assert len(server.asked) == 1
    assert (tmp_path / "w.pth").read_bytes() == CONTENT


def test_without_a_terminal_one_line_says_what_is_downloaded(server, tmp_path):
    code = ("import pathlib, sys\nfrom sightsmith.engine.runs.download import download\n"
            "download(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])")
    ran = subprocess.run([sys.executable, "-c", code, server.url("w.pth"), str(tmp_path / "w.pth"), DIGEST],
                         capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "Downloading w.pth\n")
