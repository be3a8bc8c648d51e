"""What every recipe of a dataset has in common. A recipe is data: Python keyword arguments or a YAML file."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gen import checks, models
from gen.origin import PORTRAITS, Origin
from gen.plan import PlanRow
from gen.sample import Maker, Progress

Format = Literal["webdataset", "folder", "parquet"]


class Recipe(BaseModel, ABC):
    """Base of all recipes: settings that decide every byte of a dataset, and nothing else.

    How a run is carried out (workers, engine, progress) is not part of a recipe: it never changes the result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    kind: ClassVar[str]
    """Name of the recipe on the command line and in files."""
    version: ClassVar[int]
    """Raised when the same settings would give another dataset."""
    stages: ClassVar[tuple[str, ...]] = tuple(checks.CASCADE)
    """The checks that its samples go through."""
    sheet: ClassVar[str] = "identity_id"
    """The column whose values are the rows of a contact sheet."""
    origin: ClassVar[Origin] = PORTRAITS
    """Where pictures come from that a model made."""
    places: ClassVar[tuple[str, ...]] = ("model",)
    """Settings that only say where a model is: its files stand for it."""

    seed: int = Field(default=0, ge=0)
    name: str = Field(default="train", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")
    """Stem of the shard files."""
    format: Format = "webdataset"
    model: str = "mini"
    """"mini", a folder or a hub id, as for `PortraitPipeline.from_pretrained`."""
    batch_size: int = Field(default=16, ge=1, le=256)
    """Samples per call of the model. Part of the plan: it may change the last bit of a pixel."""
    shard_size: int | None = Field(default=None, ge=1, le=10_000)
    """Planned samples per shard, rounded up to whole batches. By default a sixteenth of the set, at most 512."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads of one worker. Part of the plan: sums in another order may change a pixel's last bit."""
    attempts: int = Field(default=2, ge=1, le=10)
    """Times a sample is made anew, with another seed, while the checks reject it."""
    max_failures: int = Field(default=8, ge=1)
    """Samples that may fail (not: be rejected) one after another before a run stops."""
    licence: str = Field(default="CC0-1.0", min_length=1)
    """Licence of the dataset, an SPDX name."""

    def __hash__(self) -> int:
        return hash((self.kind, self.model_dump_json()))

    @abstractmethod
    def rows(self) -> list[PlanRow]:
        """Plan every sample, from the settings alone."""

    def prepare(self, out: Path, progress: Progress | None = None, workers: int = 1) -> None:  # noqa: B027
        """Make what all shards share, before any of them; resumable, deterministic. Nothing by default."""

    def models(self) -> dict[str, str]:
        """Hash the files of the model: relative path -> SHA-256."""
        return models.fingerprint(self.model)

    @abstractmethod
    def maker(self, out: Path) -> Maker:
        """Load the models, in the worker that calls this; `out` holds what `prepare` made."""

    def title(self) -> str:
        """One line for people."""
        return f"{self.kind}, seed {self.seed}"

    def smaller(self, count: int) -> Recipe:
        """The same recipe for about `count` samples, for a preview."""
        return self

    def balanced(self) -> dict[str, tuple[list[dict[str, Any]], dict[str, dict[Any, float]]]]:
        """What the plan balances: name -> (the planned values, axis -> value -> weight)."""
        return {}

    def cells(self) -> list[tuple[str, ...]]:
        """Combinations of axes over which rejections are counted apart, to show what the checks favour."""
        return []

    def notes(self) -> str:
        """Sections of the datasheet that only this recipe has, in Markdown."""
        return ""

    def settings(self) -> dict[str, Any]:
        """The recipe as plain data, as it stands in files."""
        return {"recipe": self.kind, **self.model_dump(mode="json")}

    def digest(self, files: dict[str, str]) -> str:
        """Hash the settings and the files of the model: equal digests give equal datasets.

        Args:
            files: file name -> SHA-256 of the model; they stand for the settings that are only `places`.
        """
        settings = {key: value for key, value in self.settings().items() if key not in self.places}
        text = json.dumps({"settings": settings, "version": self.version, "models": files}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def from_settings(settings: dict[str, Any]) -> Recipe:
    """Build the recipe that plain data describes.

    Raises:
        ValueError: the kind of recipe or one of its settings is unknown, or a value is not permitted.
    """
    from gen.recipes import RECIPES

    given = dict(settings)
    kind = given.pop("recipe", None)
    if kind not in RECIPES:
        raise ValueError(f"recipe is {kind!r}, permitted: {', '.join(RECIPES)}")
    try:
        return RECIPES[kind](**given)
    except ValidationError as error:
        raise ValueError(f"recipe {kind}: {'; '.join(map(_reason, error.errors()))}") from error


def load(path: str | Path) -> Recipe:
    """Read a recipe from a YAML file: the line `recipe: identities`, then its settings.

    Raises:
        ValueError: the file is not YAML with settings, or one of them is unknown or not permitted.
    """
    try:
        settings = yaml.safe_load(Path(path).read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    if not isinstance(settings, dict):
        raise ValueError(
            f"{path}: holds {type(settings).__name__}, expected settings like 'recipe: identities'"
        )
    try:
        return from_settings(settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _reason(error: Any) -> str:
    place = ".".join(map(str, error["loc"])) or "settings"
    if error["type"] == "extra_forbidden":
        return f"unknown setting '{place}'"
    return f"{place} is {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"
