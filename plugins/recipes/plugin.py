"""Registers the recipes."""

from __future__ import annotations

from sightsmith.plugin import RecipeRecord, hookimpl


@hookimpl
def sightsmith_recipes() -> list[RecipeRecord]:
    return [
        RecipeRecord(name="default", description="what trains best on few images; scales with their number",
                     builder="sightsmith.plugin:default_recipe"),
        RecipeRecord(name="published", description="what the network's authors used",
                     builder="sightsmith.plugins.recipes.published:published"),
        RecipeRecord(name="platform", description="the defaults of the task, whatever the data",
                     builder="sightsmith.plugins.recipes.published:platform"),
    ]
