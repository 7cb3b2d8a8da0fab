"""Unpacking archives, honest and hostile."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.engine.data.archive import unpack


def write(path: Path, entries: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def refusals(archive: Path, parent: Path, **limits: float) -> list[str]:
    with pytest.raises(UserError) as caught:
        unpack(archive, parent, **limits)
    assert not parent.exists() or not any(parent.iterdir())
    assert all(problem.file == archive.name for problem in caught.value.problems)
    return [problem.message for problem in caught.value.problems]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_unpacks_once_and_reuses(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "pets.zip", {"cat/1.txt": "a", "dog/": "", "dog/deep/2.txt": "bb", "empty.txt": ""})
    folder = unpack(archive, parent)
    assert folder.parent == parent and folder.name.startswith("pets-") and len(folder.name) == len("pets-") + 12
    assert (folder / "dog/deep/2.txt").read_text() == "bb"
    (folder / "mark").touch()
    assert unpack(archive, parent) == folder and (folder / "mark").exists()
    assert [path.name for path in parent.iterdir()] == [folder.name]


def test_changed_archive_gets_a_folder_of_its_own(tmp_path: Path, parent: Path) -> None:
    first = unpack(write(tmp_path / "a.zip", {"x": "1", "y": "1"}), parent)
    assert unpack(write(tmp_path / "a.zip", {"x": "2", "y": "1"}), parent) != first


def test_single_top_folder_is_returned_and_clutter_left_out(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "a.zip", {"pets/cat/1": "a", "__MACOSX/pets/._1": "x", ".DS_Store": "x",
                                         "pets/cat/.DS_Store": "x"})
    folder = unpack(archive, parent)
    assert folder.name == "pets" and [path.name for path in (folder / "cat").iterdir()] == ["1"]
    assert [path.name for path in folder.parent.iterdir()] == ["pets"]
    assert unpack(archive, parent) == folder


def test_windows_separators(tmp_path: Path, parent: Path) -> None:
    assert (unpack(write(tmp_path / "a.zip", {"cat\\1": "a", "2": "b"}), parent) / "cat" / "1").read_text() == "a"


def test_lists_every_offender(tmp_path: Path, parent: Path) -> None:
    archive = tmp_path / "bad.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    pipe = zipfile.ZipInfo("pipe")
    pipe.external_attr = (stat.S_IFIFO | 0o666) << 16
    write(archive, {"/etc/passwd": "x", "C:\\x": "x", "a/../../b": "x", "..\\c": "x", "good": "x", "GOOD": "x",
                    "good/inner": "x", "\\\\host\\d": "x"})
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc")
        file.writestr(pipe, "")
    assert refusals(archive, parent) == [
        "'/etc/passwd' is an absolute path", "'C:\\x' is an absolute path",
        "'a/../../b' leaves the folder with '..'", "'..\\c' leaves the folder with '..'",
        "'GOOD' is duplicated (upper and lower case are equal)", "'\\\\host\\d' is an absolute path",
        "'link' is a link", "'pipe' is a special file", "'good/inner' lies inside a file"]


def test_duplicate_names(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "a.zip", {"x": "1"})
    with zipfile.ZipFile(archive, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("x", "2")
    assert refusals(archive, parent) == ["'x' is duplicated (upper and lower case are equal)"]


def test_encrypted(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "a.zip", {"x": "1"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    assert refusals(archive, parent) == ["'x' is encrypted"]


def test_limits(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "a.zip", {str(number): "x" * 100 for number in range(5)})
    messages = refusals(archive, parent, max_files=4, max_bytes=499)
    assert "5 entries; at most 4" in messages[0] and "unpacks to" in messages[1]
    assert unpack(archive, parent, max_files=5, max_bytes=500).is_dir()


def test_compression_bomb(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "a.zip", {"x": bytes(101 * 2**20)})
    assert "more than 200 times its size" in refusals(archive, parent)[0]


def test_small_archives_may_compress_well(tmp_path: Path, parent: Path) -> None:
    assert unpack(write(tmp_path / "a.zip", {"x": bytes(2**20)}), parent).is_dir()


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_header_that_lies_about_the_size(tmp_path: Path, parent: Path, size: int) -> None:
    archive = write(tmp_path / "a.zip", {"x": bytes(3_000_000)})
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\1\2") + 24
    content[at:at + 4] = size.to_bytes(4, "little")
    archive.write_bytes(content)
    assert refusals(archive, parent) == []


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_broken_zips(tmp_path: Path, parent: Path, compression: int) -> None:
    archive = write(tmp_path / "a.zip", {"x": bytes(range(256)) * 40, "y": "1"}, compression)
    whole = archive.read_bytes()
    for broken in (b"", b"no zip at all", whole[:len(whole) // 2], whole[len(whole) // 2:],
                   whole[:60] + bytes([whole[60] ^ 255]) + whole[61:]):
        archive.write_bytes(broken)
        assert refusals(archive, parent) == []
    archive.unlink()
    assert refusals(archive, parent) == []


def test_flipped_bytes_only_raise_user_errors(tmp_path: Path, parent: Path) -> None:
    archive = write(tmp_path / "a.zip", {"d/x": bytes(range(256)), "y": "1"})
    whole = archive.read_bytes()
    for at in range(0, len(whole), 3):
        archive.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        try:
            folder = unpack(archive, parent)
            assert folder.is_relative_to(parent)
        except UserError:
            continue
    assert not any(path.name.startswith(".") for path in parent.iterdir())


def test_full_disk(tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 0, 9))
    archive = write(tmp_path / "a.zip", {"x": "0123456789"})
    with pytest.raises(UserError, match="needs 0.0 MiB"):
        unpack(archive, parent)


def test_target_that_cannot_be_written(tmp_path: Path, parent: Path) -> None:
    parent.write_text("a file")
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(write(tmp_path / "a.zip", {"x": "1"}), parent)
