"""``dataset.class_map``: other names for the classes of a data set, such as those that a preset or a run knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sightsmith.core.contracts.dataset import DatasetIndex, Sample
from sightsmith.core.util.errors import Problem, UserError, near
from sightsmith.core.util.files import typed_path
from sightsmith.core.util.reading import parse_yaml, read_text

KEY = "dataset.class_map"
EXAMPLE = f"type '{KEY}={{Pneumothorax: PTX}}', or the path of a YAML file with lines of `Pneumothorax: PTX`"


def read_class_map(text: str | None) -> dict[str, str]:
    """The new names by the old: ``text`` is ``{old: new}``, or the path of a YAML or JSON file with such a mapping.
    Raises UserError."""
    if text is None:
        return {}
    try:
        content = parse_yaml(text if text.lstrip().startswith("{") else read_text(typed_path(text), EXAMPLE))
        if not isinstance(content, Mapping):
            raise ValueError("it is not a mapping of names to names")
        named = {str(old): str(new).strip() for old, new in content.items()
                 if all(isinstance(name, (str, int)) and not isinstance(name, bool) for name in (old, new))}
        if len(named) < len(content) or not all(named.values()):
            raise ValueError("it has a name that is not text: quote it")
    except ValueError as error:
        raise UserError(f"{KEY}={text}: {error}", hint=EXAMPLE) from error
    return named


def with_class_map(index: DatasetIndex, names: Mapping[str, str], problems: list[Problem]) -> DatasetIndex:
    """``index`` with its classes renamed by ``names``; classes that get the same name become one."""
    for name in names:
        if name not in index.classes:
            problems.append(Problem(f"{KEY}: the data set has no class {name!r}.{near(name, index.classes)}",
                                    hint=f"its classes: {', '.join(index.classes)}"))
    if not names:
        return index
    return replace(index, classes=tuple(dict.fromkeys(names.get(name, name) for name in index.classes)),
                   samples=tuple(_renamed(sample, names) for sample in index.samples))


def _renamed(sample: Sample, names: Mapping[str, str]) -> Sample:
    mask = sample.semantic_mask
    return replace(
        sample, labels=tuple(dict.fromkeys(names.get(label, label) for label in sample.labels)),
        objects=tuple(replace(item, label=names.get(item.label, item.label)) for item in sample.objects),
        semantic_mask=mask and replace(mask, values=tuple((value, name and names.get(name, name))
                                                          for value, name in mask.values)))
