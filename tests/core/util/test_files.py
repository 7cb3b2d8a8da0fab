"""Folders that can be written to, and those that cannot."""

from __future__ import annotations

import os

import pytest

from sightsmith.core.util.errors import UserError
from sightsmith.core.util.files import ensure_writable, make_folder


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
    with pytest.raises(UserError, match="link cannot be written to"):
        make_folder(tmp_path / "link")


def test_a_folder_of_others_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do everything
    with pytest.raises(UserError, match=f"you may not write to {tmp_path}"):
        ensure_writable(tmp_path / "a")
