"""The plan of a dataset: one row a sample, grouped into batches and shards before anything is made."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gen import atomic, seeds

if TYPE_CHECKING:
    from gen.recipe import Recipe

PLAN_FILE = "plan/plan.json"
_SHARDS, _LARGEST_SHARD = 16, 512
"""Small sets are cut so that workers have something to share; large ones into shards that are worth a file."""


class PlanConflict(ValueError):  # noqa: N818 - it reads as what happened
    """A folder holds a dataset of another plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """One sample to be made."""

    id: str
    """Key of the sample in every format; no dot, as WebDataset cuts names at the first one."""
    identity_id: str
    variant: int
    """Number of the image among the images of its identity."""
    seed: int
    prompt: str
    negative_prompt: str = ""
    requested: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Axis name -> the value asked for; `style_id` as well where the picture wears a style."""
    action_units: dict[str, float] = dataclasses.field(default_factory=dict)
    """Intensity asked for of each of `vocabulary.UNIT_COLUMNS`; empty where nothing was asked of them."""
    attempt: int = 0
    role: str = "image"
    """What the picture is to the others of its identity: "bare" or "makeup" where they are pairs, and so on."""

    def __post_init__(self) -> None:
        if not self.id or not all(letter.isalnum() or letter in "_-" for letter in self.id):
            raise ValueError(f"sample id {self.id!r}: permitted are letters, digits, '_' and '-' (no dot)")

    def again(self) -> PlanRow:
        """The next attempt at the same row, with another seed."""
        attempt = self.attempt + 1
        return dataclasses.replace(self, attempt=attempt, seed=seeds.sample_seed(self.seed, self.id, attempt))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanItem:
    """One shard: the unit of work and of retry, all that a worker is told."""

    recipe: Recipe
    out: str
    digest: str
    index: int
    shards: int
    batches: tuple[tuple[PlanRow, ...], ...]

    @property
    def stem(self) -> str:
        """Name of the shard's files without their endings."""
        return f"{self.recipe.name}-{self.index:05d}"

    @property
    def count(self) -> int:
        """Planned samples."""
        return sum(map(len, self.batches))


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A recipe, the hash of all that decides the result, and every row."""

    recipe: Recipe
    models: dict[str, str]
    """File name -> SHA-256 of the model."""
    digest: str
    rows: tuple[PlanRow, ...]

    @classmethod
    def of(cls, recipe: Recipe, models: dict[str, str]) -> Plan:
        """Plan a recipe; the same recipe and model files always give the same plan.

        Raises:
            ValueError: two rows share an id.
        """
        rows = tuple(recipe.rows())
        ids = {row.id for row in rows}
        if len(ids) < len(rows):
            raise ValueError(
                f"recipe {recipe.kind}: {len(rows) - len(ids)} of {len(rows)} sample ids are not unique"
            )
        return cls(recipe=recipe, models=models, digest=recipe.digest(models), rows=rows)

    def items(self, out: Path) -> list[PlanItem]:
        """Cut the rows into batches and whole batches into shards."""
        size = self.recipe.batch_size
        batches = [self.rows[first : first + size] for first in range(0, len(self.rows), size)]
        rows = self.recipe.shard_size or min(_LARGEST_SHARD, -(-len(self.rows) // _SHARDS))
        per_shard = -(-rows // size)
        groups = [tuple(batches[first : first + per_shard]) for first in range(0, len(batches), per_shard)]
        return [
            PlanItem(
                recipe=self.recipe,
                out=str(out),
                digest=self.digest,
                index=index,
                shards=len(groups),
                batches=group,
            )
            for index, group in enumerate(groups)
        ]

    def claim(self, out: Path, beside_others: bool = False) -> None:
        """Write the plan into its folder, or find the same plan there.

        Args:
            out: the folder.
            beside_others: accept a folder that holds files of somebody else.

        Raises:
            PlanConflict: the folder holds another plan, or files that are none of ours.
        """
        path = out / PLAN_FILE
        if path.exists():
            found = json.loads(path.read_text("utf-8"))
            if found.get("digest") != self.digest:
                raise PlanConflict(
                    f"{out}: holds a dataset of other settings ({self._difference(found)}); "
                    "choose another folder, use the same settings to resume, or overwrite it"
                )
            return
        if not beside_others and out.is_dir() and any(entry.name != "plan" for entry in out.iterdir()):
            raise PlanConflict(f"{out}: is not empty and holds no dataset of Mien; choose a new folder")
        rows = [dataclasses.asdict(row) for row in self.rows]
        lines = "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)
        atomic.write_bytes(out / "plan/rows.jsonl", lines.encode())
        atomic.write_json(path, self.summary())

    def summary(self) -> dict[str, Any]:
        """What `plan.json` holds."""
        return {
            "digest": self.digest, "settings": self.recipe.settings(), "version": self.recipe.version,
            "models": self.models, "rows": len(self.rows),
        }  # fmt: skip

    def _difference(self, found: dict[str, Any]) -> str:
        """Name what differs from another plan's summary."""
        theirs, ours = found.get("settings", {}), self.recipe.settings()
        keys = [
            key
            for key in sorted({*theirs, *ours} - {*self.recipe.places})
            if theirs.get(key) != ours.get(key)
        ]
        changed = [f"{key} {_short(theirs.get(key))} there, {_short(ours.get(key))} now" for key in keys]
        if found.get("models") != self.models:
            changed.append("the files of the model")
        if found.get("version") != self.recipe.version:
            changed.append(f"version {found.get('version')} of the recipe there, {self.recipe.version} now")
        return "; ".join(changed) or "its plan file is damaged"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
