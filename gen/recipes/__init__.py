"""Recipes by their names on the command line."""

from __future__ import annotations

from gen.recipe import Recipe
from gen.recipes.drags import DragsRecipe
from gen.recipes.expressions import ExpressionsRecipe
from gen.recipes.identities import IdentitiesRecipe
from gen.recipes.makeup import MakeupRecipe
from gen.recipes.textures import TexturesRecipe

RECIPES: dict[str, type[Recipe]] = {
    recipe.kind: recipe
    for recipe in (IdentitiesRecipe, ExpressionsRecipe, MakeupRecipe, DragsRecipe, TexturesRecipe)
}
