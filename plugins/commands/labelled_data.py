"""The keys of commands that can read another data set than the run's own."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sightsmith.plugins.commands.settings import key


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """A labelled data set, and how to read it."""

    dataset_root: str | None = key("folder or zip with labelled images", None, name="dataset.root", metavar="FOLDER",
                                   offers="files", elsewhere=("dataset", "data", "root"))
    dataset_format: str | None = key("its format: `sightsmith list formats`", None, name="dataset.format",
                                     metavar="FORMAT", offers="dataset_formats")
    dataset_group_by: str | None = key("how to group its images, as for `train`", None, name="dataset.group_by",
                                       metavar="GROUPS")

    dataset_class_map: str | None = key("other names for its classes, {old: new}, or a YAML file with them", None,
                                        name="dataset.class_map", metavar="NAMES", offers="files")

    def dataset(self) -> dict[str, str]:
        """The keys that are set, with their values."""
        from sightsmith.engine.config.literal import unquoted  # Hydra, which help and completion do without

        values = {entry.metadata["name"]: getattr(self, entry.name) for entry in fields(LabelledData)}
        return {name: unquoted(value) for name, value in values.items() if value is not None}
