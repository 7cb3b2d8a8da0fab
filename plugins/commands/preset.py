"""``sightsmith preset create``: a preset from a finished run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.plugins.commands.settings import flag, key, parse, word

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class CreatePreset:
    """Write a preset that trains as a finished run did and starts from its weights: a YAML file with the weights beside
    it, or a Python package that others can install."""

    action: str = word("what to do", choices=("create",))
    run: Path = key("the run's folder", metavar="DIR")
    name: str = key("the preset's name", metavar="NAME")
    output_dir: Path = key("where the preset is written", Path("presets"), metavar="FOLDER")
    package: bool = key("write a package", False)
    title: str | None = key("card: a title", None, metavar="TEXT")
    description: str | None = key("card: what it is for", None, metavar="TEXT")
    modality: str | None = key("card: how the images are taken", None, metavar="TEXT")
    body_part: str | None = key("card: what they show of the body", None, metavar="TEXT")
    images: str | None = key("card: what the images are like", None, metavar="TEXT")
    licence: str | None = key("card: licence of the file and the weights, by default not stated", None, metavar="TEXT")
    tunable: str | None = key("card: keys that stay free, separated by commas; by default "
                              "augment.rotation,augment.translation", None, metavar="KEYS")
    json: bool = flag("print one JSON object")


def preset_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(CreatePreset, arguments, plugins.commands["preset"])

    from sightsmith.engine.pipeline.create_preset import CARD_KEYS, UNLICENSED, create_preset
    from sightsmith.plugins.commands.output import print_json

    given = {name: getattr(options, name) for name in CARD_KEYS}
    card: dict[str, Any] = {name: " ".join(text.split()) for name, text in given.items() if text is not None}
    if "tunable" in card:
        card["tunable"] = [name for name in card["tunable"].strip("[]").replace(" ", "").split(",") if name]
    written = create_preset(options.run.resolve(), options.name, options.output_dir, card, plugins,
                            package=options.package)
    if options.json:
        print_json({"package" if options.package else "preset": str(written)})
        return 0
    choice = str(written)
    if options.package:
        print(f"Package: {written}\nInstall it here with `pip install {written}`, then")
        choice = options.name
    else:
        print(f"Preset: {written}")
    print(f"  sightsmith list presets {choice}\n  sightsmith train preset={choice} dataset.root=FOLDER")
    if card.get("licence", UNLICENSED) == UNLICENSED:
        print("No licence is stated; before you share it: licence=...")
    return 0
