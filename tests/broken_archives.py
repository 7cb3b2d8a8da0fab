"""Zips that cannot be unpacked, or must not be."""

from __future__ import annotations

import stat
import zipfile

from written_datasets import folders


def zipped(fill):
    """A zip beside ``root``, written by ``fill(archive)``."""
    def make(root):
        root.mkdir(parents=True, exist_ok=True)
        path = root / "set.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            fill(archive)
        return [f"dataset.root={path}"]
    return make


def climbing(archive):
    archive.writestr("cat/1.png", b"x")
    archive.writestr("../../evil.png", b"x")


def absolute(archive):
    archive.writestr("/etc/evil.png", b"x")


def linked(archive):
    info = zipfile.ZipInfo("cat/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(info, "/etc/passwd")


def bomb(archive):
    for number in range(2):
        with archive.open(f"cat/{number}.png", "w") as stream:
            for _ in range(80):
                stream.write(bytes(2**20))


def cut_zip(root):
    folders(root / "set")
    path = root / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (root / "set").rglob("*.png"):
            archive.write(file, file.relative_to(root / "set"))
    path.write_bytes(path.read_bytes()[:-200])
    return [f"dataset.root={path}"]


def bad_crc(root):
    path = root / "set.zip"
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cat/1.png", b"A" * 5000)
    path.write_bytes(path.read_bytes().replace(b"A" * 100, b"B" * 100, 1))
    return [f"dataset.root={path}"]


def not_a_zip(root):
    root.mkdir(parents=True, exist_ok=True)
    (root / "set.zip").write_text("hello")
    return [f"dataset.root={root / 'set.zip'}"]
