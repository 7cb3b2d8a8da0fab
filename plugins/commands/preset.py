"""``sightsmith preset create``: create a preset from a finished run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightsmith.core.util.files import resolved_path
from sightsmith.engine.config.run_names import find_run
from sightsmith.plugins.commands.settings import flag, key, parse, word

if TYPE_CHECKING:
    from sightsmith.core.plugins.manager import Plugins


@dataclass(frozen=True)
class CreatePreset:
    """Create a preset that trains like a finished run and starts from its weights: a YAML file with the weights next
    to it, or a Python package that others can install."""

    action: str = word("what to do", choices=("create",))
    run: Path = key("the run: its folder, its name, or last", metavar="RUN", offers="runs",
                    elsewhere=("model", "weights"))
    name: str = key("the preset's name", metavar="NAME")
    output_dir: Path = key("folder for the preset", Path("presets"), metavar="FOLDER", offers="files")
    package: bool = key("create a package", False)
    title: str | None = key("card: title", None, metavar="TEXT")
    description: str | None = key("card: purpose", None, metavar="TEXT")
    modality: str | None = key("card: imaging modality", None, metavar="TEXT")
    body_part: str | None = key("card: body part in the images", None, metavar="TEXT")
    images: str | None = key("card: accepted images", None, metavar="TEXT")
    licence: str | None = key("card: licence of file and weights, by default not stated", None, metavar="TEXT")
    tunable: str | None = key("card: keys that stay free, comma-separated; by default "
                              "augment.rotation,augment.translation", None, metavar="KEYS")
    json: bool = flag("print one JSON object")


def preset_command(arguments: list[str], plugins: Plugins) -> int:
    options = parse(CreatePreset, arguments, plugins.commands["preset"])

    from sightsmith.engine.pipeline.create_preset import CARD_KEYS, UNLICENSED, create_preset
    from sightsmith.plugins.commands.output import print_json

    texts = {name: getattr(options, name) for name in CARD_KEYS}
    card: dict[str, Any] = {name: " ".join(text.split()) for name, text in texts.items() if text is not None}
    if "tunable" in card:
        card["tunable"] = [name for name in card["tunable"].strip("[]").replace(" ", "").split(",") if name]
    written = create_preset(resolved_path(find_run(options.run)), options.name, options.output_dir, card, plugins,
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
        print("The preset states no licence. Before you share it, set licence=...")
    return 0
