"""Folders that can be written to, and those that cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import cache_dir, ensure_writable, make_folder, short_path, write_json


def test_a_folder_that_can_be_is_made_only_when_asked(tmp_path):
    ensure_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    for folder in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(UserError, match=f"{tmp_path / 'a'} is a file"):
            ensure_writable(folder)
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="cannot write to .*link"):
        make_folder(tmp_path / "link")


def test_a_folder_of_others_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do everything
    with pytest.raises(UserError, match=f"no permission to write to {tmp_path}"):
        ensure_writable(tmp_path / "a")


def test_the_cache_is_in_the_users_cache_folder_unless_it_is_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"
    monkeypatch.delenv("SIGHTSMITH_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, appauthor: tmp_path / name)
    assert cache_dir() == tmp_path / "sightsmith"


NOT_UTF_8 = os.fsdecode(b"fotos_\xe4")


def test_a_name_that_no_text_can_hold_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    folder = tmp_path / NOT_UTF_8
    refused = r"cannot write to .*fotos_\\udce4(/runs)?: its name is not UTF-8"
    with pytest.raises(UserError, match=refused):
        make_folder(folder)
    assert not folder.exists()
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=refused):
        make_folder(Path("runs"))
    with pytest.raises(UserError, match=r"a name in it is not UTF-8: .*fotos_\\udce4"):
        write_json(tmp_path / "found.json", {"folder": NOT_UTF_8})
    assert [path.name for path in tmp_path.iterdir()] == [NOT_UTF_8]


def test_a_name_as_long_as_can_be_is_written(tmp_path):
    for letter in "xé":
        path = tmp_path / (letter * (250 // len(letter.encode())) + ".json")
        write_json(path, [])
        assert path.read_text() == "[]\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_short_path_leaves_room_and_stays_another():
    assert short_path("a/b.png") == "a/b.png"
    long = [f"a/{'é' * 120}{number}.png" for number in range(2)]
    short = [short_path(name) for name in long]
    assert len({*short}) == 2
    assert all(name.startswith("a/éé") and len(Path(name).name.encode()) < 220 for name in short)
