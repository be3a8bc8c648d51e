"""Sets of exact textures for the training of texture models: `python -m faces.head.texture_set`.

Texture `i` is person `i` of its seed, so a set can be made longer or in parts without changing what it holds. A set
is a folder of images.npy, labels.parquet, settings.json and skin.npy, the texels that may be painted on; it appears
when it is whole, and a run that stops is resumed by starting it again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.lib.format import open_memmap

from faces.head.assets import find_folder
from faces.head.complexion import vary
from faces.head.dataset import _replace, _write_parquet
from faces.head.study import Materials, use_materials

if TYPE_CHECKING:
    from faces.head.renderer import HeadRenderer
    from faces.head.spec import HeadSpec

IMAGES, LABELS, SETTINGS, SKIN = "images.npy", "labels.parquet", "settings.json", "skin.npy"
_BLOCK = 64
"""Textures between two points that a run can be resumed from."""
_MOST_ADDED = 4
_KEPT = (
    "identity_id", "age_years", "age_band", "rendered_gender", "gender", "skin_tone", "eye_colour", "beard", "makeup"
)  # fmt: skip
"""Labels of pictures that are true of textures too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextureSetConfig:
    """What a set of textures holds."""

    count: int
    """Textures, each of another person."""
    size: int = 128
    """Texels of a side."""
    seed: int = 0
    materials: Materials = "seen"
    marks: float = 0.5
    """Share of the heads that get 1 to 4 moles and scars beside their own, each on one side alone: without them a
    head's other side would tell nearly everything about what is hidden."""
    complexion: float = 0.8
    """Share of the heads whose skin is uneven, freckled, tattooed or has a birthmark: see `faces.head.complexion`."""

    def __post_init__(self) -> None:
        if self.count < 1 or self.size < 1:
            raise ValueError(f"count {self.count} and size {self.size}: expected at least 1 of each")
        for name in ("marks", "complexion"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected a share, 0 to 1")
        if self.materials not in get_args(Materials):
            raise ValueError(
                f"materials {self.materials!r}: expected one of {', '.join(get_args(Materials))}"
            )


class TextureSet:
    """Specs and textures of a `TextureSetConfig`, one at a time.

    Args:
        config: of the set.
        makehuman: MakeHuman data folder, or None for MIEN_MAKEHUMAN.

    Raises:
        AssetError: the head assets are missing or damaged.
    """

    def __init__(self, config: TextureSetConfig, makehuman: str | Path | None = None) -> None:
        from faces.head.renderer import HeadRenderer
        from faces.head.sampler import HeadSampler, mark_vertices
        from faces.head.textures import skin_texels, visible_mark_vertices

        self.config = config
        self.renderer: HeadRenderer = HeadRenderer(makehuman)
        assets = self.renderer.assets
        own = mark_vertices(assets.base, assets.kept, assets.body.faces)
        self.sampler = HeadSampler(config.seed, list(self.renderer.model.sliders), own)
        self._places = visible_mark_vertices(self.renderer)
        self.skin = skin_texels(self.renderer, config.size)

    def spec(self, index: int) -> HeadSpec:
        """Spec of texture `index`; only what a texture shows of it matters."""
        from faces.head.textures import MOST_MARKS, with_marks

        seed = self.config.seed
        spec = use_materials(self.sampler.spec(index), self.config.materials, seed, index, 0)
        rng = np.random.default_rng([seed, 15, index])
        if rng.random() >= self.config.marks:
            return spec
        count = len(spec.identity.marks) + int(rng.integers(1, _MOST_ADDED + 1))
        return with_marks(spec, rng, min(count, MOST_MARKS), self._places)

    def sample(self, index: int) -> tuple[np.ndarray, dict]:
        """Texture (size, size, 3) uint8 sRGB of number `index`, and its labels.

        The labels are those of pictures that are true of textures; `marks` and `complexion` say of each on which of the
        person's own sides, "left" or "right", it is.
        """
        from faces.head.textures import draw_texture

        spec = self.spec(index)
        labels = spec.labels()
        marks = [mark | {"side": self._side(mark["vertex"])} for mark in labels["marks"]]
        texture = draw_texture(self.renderer, spec, self.config.size)
        rng, painted = np.random.default_rng([self.config.seed, 16, index]), []
        if rng.random() < self.config.complexion:
            texture, painted = vary(texture, self.skin, rng)
        row = {name: labels[name] for name in _KEPT}
        return texture, row | {"marks": marks, "complexion": [asdict(one) for one in painted]}

    def _side(self, vertex: int) -> str:
        assets = self.renderer.assets
        return "left" if assets.base[assets.index(vertex), 0] > 0 else "right"  # x grows to the person's left


def write_textures(
    *,
    count: int,
    out: str | Path,
    size: int = 128,
    seed: int = 0,
    materials: Materials = "seen",
    marks: float = 0.5,
    complexion: float = 0.8,
    workers: int | None = None,
    makehuman: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draw `count` textures of size x size texels into the folder `out`.

    Args:
        count: textures, each of another person.
        out: folder; a whole set of the same settings in it is kept.
        size: texels of a side.
        seed: of the people.
        materials: which skins and brows (see `faces.head.study`).
        marks: share of the heads with more marks on one side (see `TextureSetConfig`).
        complexion: share of the heads with a varied skin.
        workers: processes; by default one a core. Their number changes no byte.
        makehuman: MakeHuman data folder, or None for MIEN_MAKEHUMAN.
        progress: called with the number of textures of each finished block.

    Returns:
        The folder: images.npy (count, size, size, 3) uint8, labels.parquet with a row each, settings.json, and skin.npy
        (size, size) float32 in 0..1, how much of a texel is skin.

    Raises:
        AssetError: the head assets are missing or damaged.
        ValueError: impossible settings, or `out` holds a set of others.
    """
    config = TextureSetConfig(
        count=count, size=size, seed=seed, materials=materials, marks=marks, complexion=complexion
    )
    folder = Path(out)
    if folder.exists():
        _require(folder, config)
        return folder
    partial = folder.with_name(f".{folder.name}.partial")
    if partial.exists():
        _require(partial, config)
    else:
        partial.mkdir(parents=True)
        _replace(partial / SETTINGS, _as_json(config))
    jobs = [
        (config, start, str(partial), str(find_folder(makehuman)))
        for start in range(0, count, _BLOCK)
        if not _block(partial, start).with_suffix(".json").exists()
    ]
    for done in _drawn(jobs, workers):
        if progress:
            progress(done)
    _join(partial, config)
    os.replace(partial, folder)
    return folder


def _drawn(jobs: list[tuple[TextureSetConfig, int, str, str]], workers: int | None):
    processes = min(workers or os.cpu_count() or 1, max(len(jobs), 1))
    if processes == 1:
        yield from map(_draw_block, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_draw_block, jobs)


_set: TextureSet | None = None


def _draw_block(job: tuple[TextureSetConfig, int, str, str]) -> int:
    global _set
    config, start, folder, makehuman = job
    if _set is None or _set.config != config:  # one renderer a process
        _set = TextureSet(config, makehuman)
    indices = range(start, min(start + _BLOCK, config.count))
    images, rows = zip(*(_set.sample(index) for index in indices), strict=True)
    path = _block(Path(folder), start)
    if start == 0:
        np.save(Path(folder) / SKIN, _set.skin)
    np.save(path, np.stack(images))
    _replace(path.with_suffix(".json"), json.dumps(rows).encode())  # last: it says that the block is whole
    return len(rows)


def _join(folder: Path, config: TextureSetConfig) -> None:
    """Make one array and one table of the blocks, and remove them."""
    shape = (config.count, config.size, config.size, 3)
    images = open_memmap(folder / IMAGES, "w+", dtype=np.uint8, shape=shape)
    rows = []
    for start in range(0, config.count, _BLOCK):
        path = _block(folder, start)
        images[start : start + _BLOCK] = np.load(path)
        rows += json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    images.flush()
    _write_parquet(folder / LABELS, rows)
    shutil.rmtree(folder / "blocks")


def _block(folder: Path, start: int) -> Path:
    blocks = folder / "blocks"
    blocks.mkdir(exist_ok=True)
    return blocks / f"{start:07d}.npy"


def _as_json(config: TextureSetConfig) -> bytes:
    return (json.dumps(asdict(config), indent=1, sort_keys=True) + "\n").encode()


def _require(folder: Path, config: TextureSetConfig) -> None:
    settings = folder / SETTINGS
    if not settings.is_file() or settings.read_bytes() != _as_json(config):
        raise ValueError(f"{folder}: made with other settings; choose another folder or remove this one")


def main(arguments: list[str] | None = None) -> None:
    """Write a set, as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True, help="textures")
    parser.add_argument("--out", type=Path, required=True, help="folder that they are written to")
    parser.add_argument("--size", type=int, default=128, help="texels of a side")
    parser.add_argument("--seed", type=int, default=0, help="of the people")
    parser.add_argument("--materials", choices=get_args(Materials), default="seen", help="skins and brows")
    parser.add_argument("--marks", type=float, default=0.5, help="share of the heads with more marks")
    parser.add_argument("--complexion", type=float, default=0.8, help="share of the heads with a varied skin")
    parser.add_argument("--workers", type=int, help="processes; by default one a core")
    parser.add_argument("--makehuman", type=Path, help="MakeHuman's data folder; else MIEN_MAKEHUMAN")
    write_textures(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
