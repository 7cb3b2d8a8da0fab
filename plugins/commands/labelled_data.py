"""The keys of commands that read another labelled data set than the run's own."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sightsmith.plugins.commands.settings import key


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Which labelled images, and how they are read."""

    dataset_root: str | None = key("a folder or zip of labelled images", None, name="dataset.root", metavar="FOLDER")
    dataset_format: str | None = key("its format: `sightsmith list formats`", None, name="dataset.format",
                                     metavar="FORMAT")
    dataset_group_by: str | None = key("how its images are grouped, as for `train`", None, name="dataset.group_by",
                                       metavar="GROUPS")

    def dataset(self) -> dict[str, str]:
        """The keys that are given."""
        given = {entry.metadata["name"]: getattr(self, entry.name) for entry in fields(LabelledData)}
        return {name: value for name, value in given.items() if value is not None}
