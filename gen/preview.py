"""A glance before a long run: the plan in words, or a few pictures of it."""

from __future__ import annotations

import collections
import tempfile
from pathlib import Path

from gen import atomic, balance, contact, engine
from gen.overview import Overview
from gen.plan import Plan
from gen.recipe import Recipe
from gen.sample import Progress

_EXAMPLES = 5


def dry_run(recipe: Recipe) -> str:
    """Describe what a recipe would make, without a model: counts, shards, balance, the first prompts."""
    plan = Plan.of(recipe, {})
    items = plan.items(Path("."))
    lines = [
        f"{recipe.title()}: {len(plan.rows)} pictures in {len(items)} shards, batches of {recipe.batch_size}",
        f"format {recipe.format}, model {recipe.model}, seed {recipe.seed}, licence {recipe.licence}",
    ]
    for axis in sorted({name for row in plan.rows for name in row.requested}):
        counts = collections.Counter(row.requested.get(axis) for row in plan.rows)
        lines.append(f"  {axis}: " + ", ".join(f"{value} {count}" for value, count in counts.most_common()))
    for name, (rows, axes) in recipe.balanced().items():
        distance, smallest = balance.total_variation(rows, axes)
        lines.append(f"  joint balance of {name}: {distance:.3f} from the target, smallest cell {smallest}")
    lines += [f"  {row.id}: {row.prompt}" for row in plan.rows[:_EXAMPLES]]
    return "\n".join(lines)


def preview(recipe: Recipe, path: Path, count: int = 16, progress: Progress | None = None) -> Path:
    """Make a few pictures of a recipe and lay them out on one JPEG; nothing else is kept.

    Args:
        recipe: what to try.
        path: the JPEG.
        count: pictures, about.
        progress: called after every batch.
    """
    small = recipe.smaller(count)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "preview"
        engine.generate(small, out, progress=progress)
        sheet = contact.of(Overview.of(Plan.of(small, small.models()), out))
    atomic.write_bytes(path, contact.jpeg(sheet))
    return path
