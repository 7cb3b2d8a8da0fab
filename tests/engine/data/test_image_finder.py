"""Names that no image has: near ones are offered for a few."""

from __future__ import annotations

import pytest
from broken_datasets import picture

from sightsmith.core.util.errors import NAMED
from sightsmith.engine.data.image_finder import ImageFinder


def test_near_names_are_looked_for_only_as_long_as_they_may_be_typing_errors(tmp_path):
    picture(tmp_path / "photo.png", 1)
    finder, said = ImageFinder(tmp_path), []
    for number in range(NAMED + 1):
        with pytest.raises(ValueError, match="there is no image") as raised:
            finder.find(f"phto{number}.png")
        said.append("Did you mean 'photo.png'?" in str(raised.value))
    assert said == [True] * NAMED + [False]
