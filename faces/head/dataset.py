"""Writes rendered heads with exact labels as WebDataset shards with a parquet table beside each.

A sample is a function of (seed, person, picture); shards are written whole or not at all, so a run that stops is
resumed by starting it again, and the number of workers changes no byte.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from faces.captions import caption
from faces.flow import encode_flow
from faces.head import motion
from faces.head.assets import find_folder
from faces.head.makeup import PEOPLE_A_STYLE, alpha_maps, draw_style
from faces.head.sampler import HeadSampler, draw_second_lights, mark_vertices
from faces.head.spec import HeadSpec, MakeupLayer
from faces.head.study import Materials, States, study_state, use_materials
from faces.provenance import RENDERED, Provenance, to_png_bytes

if TYPE_CHECKING:
    from faces.head.renderer import HeadImage

Makeup = Literal["own", "shared"]
"""`own` as each look draws it. `shared`: a person's pictures differ in nothing but makeup, the first is bare, and
groups of people wear the same looks in the others; nobody wears glasses, which would hide them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsConfig:
    """What a collection of rendered heads holds; its hash guards a folder against mixing two of them."""

    count: int
    """Pictures in all."""
    size: int = 128
    seed: int = 0
    pictures_per_identity: int = 4
    identities_per_shard: int = 128
    look: Literal["first", "second"] = "first"
    """`second` renders under other lights, without cast shadows and wider sliders: data for a judge."""
    calm: float = 1.0
    states: States = "portraits"
    materials: Materials = "all"
    makeup: Makeup = "own"
    motion: bool = False
    """Pictures come in pairs: the same head before and after an edit, under one camera, with the flow to each other."""

    def __post_init__(self) -> None:
        if self.count < 1 or self.size < 16:
            raise ValueError(
                f"count {self.count} and size {self.size}: expected at least 1 picture of at least 16 px"
            )
        if self.pictures_per_identity < 1:
            raise ValueError(f"pictures_per_identity {self.pictures_per_identity}: expected at least 1")
        if self.motion and (self.makeup == "shared" or self.pictures_per_identity % 2 or self.count % 2):
            raise ValueError(
                "motion: expected pairs, so even numbers of pictures, and makeup that is their own"
            )

    def hash(self) -> str:
        """Digest of everything but the count, so that a collection can be extended."""
        settings = {key: value for key, value in asdict(self).items() if key != "count"}
        for name, default in (
            ("states", "portraits"),
            ("materials", "all"),
            ("makeup", "own"),
            ("motion", False),
        ):
            if settings[name] == default:  # collections are older than these choices
                del settings[name]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


class HeadCollection:
    """Specs and pictures of a `HeadsConfig`, one at a time."""

    def __init__(self, config: HeadsConfig, makehuman: str | Path | None = None) -> None:
        from faces.head.renderer import HeadRenderer
        from faces.head.scene import Shading

        self.config = config
        self.renderer = HeadRenderer(makehuman)
        assets = self.renderer.assets
        vertices = mark_vertices(assets.base, assets.kept, assets.body.faces)
        self.sampler = HeadSampler(config.seed, list(self.renderer.model.sliders), vertices, config.calm)
        self._shading = Shading(shadows=config.look == "first")
        self._pair: tuple[int, tuple[HeadImage, HeadImage]] | None = None

    def spec(self, index: int) -> HeadSpec:
        """Spec of picture `index` of the collection."""
        number, picture = divmod(index, self.config.pictures_per_identity)
        if self.config.motion and picture % 2:
            kind, rng = self._edit(index)
            return motion.moved(self.spec(index - 1), kind, rng)
        variant = picture if self.config.makeup == "own" else 0
        spec = self.sampler.spec(number, variant)
        rng = np.random.default_rng([self.config.seed, 10, number, variant])
        spec = spec.model_copy(update={"state": study_state(spec.state, self.config.states, rng)})
        spec = use_materials(spec, self.config.materials, self.config.seed, number, variant)
        if self.config.look == "second":
            lights = draw_second_lights(np.random.default_rng([self.config.seed, 9, number, variant]))
            spec = spec.model_copy(update={"lights": lights})
        if self.config.makeup == "shared":
            look = {"makeup": self.style(index), "glasses": 0.0}
            spec = spec.model_copy(update={"look": spec.look.model_copy(update=look)})
        return spec

    def _edit(self, index: int) -> tuple[str, np.random.Generator]:
        """What happens between the two pictures of a pair, and the source of the rest of its choices."""
        rng = np.random.default_rng([self.config.seed, 14, index // 2])
        return motion.draw_kind(rng), rng

    def style_id(self, index: int) -> str:
        """Name of the shared look of a picture: people of a group share it; "bare" for none."""
        number, picture = divmod(index, self.config.pictures_per_identity)
        return f"{self.config.seed}-{number // PEOPLE_A_STYLE}-{picture}" if picture else "bare"

    def style(self, index: int) -> tuple[MakeupLayer, ...]:
        """Layers of the shared look of a picture."""
        number, picture = divmod(index, self.config.pictures_per_identity)
        if not picture:
            return ()
        return draw_style(np.random.default_rng([self.config.seed, 13, number // PEOPLE_A_STYLE, picture]))

    def sample(self, index: int) -> dict:
        """Picture, parsing, landmarks, flat labels and the whole spec of picture `index`."""
        spec = self.spec(index)
        image = self._image(index, spec)
        labels = spec.labels()
        if self.config.motion:
            labels["edit"] = self._edit(index)[0]
        if self.config.makeup == "shared":
            labels["style"] = self.style_id(index)
        labels["caption"] = caption(labels, np.random.default_rng([self.config.seed, 7, index]))
        sample = {"rgb": image.rgb, "parsing": image.parsing, "landmarks": image.landmarks}
        if self.config.makeup == "shared":
            sample["alpha"] = alpha_maps(image, self.renderer.regions, spec.look.makeup)
        if image.flow is not None:
            sample |= {"flow": image.flow, "co_visible": image.co_visible}
        return sample | {"labels": labels, "spec": spec.model_dump(mode="json")}

    def _image(self, index: int, spec: HeadSpec) -> HeadImage:
        if not self.config.motion:
            return self.renderer.render(spec, self.config.size, self._shading)
        if self._pair is None or self._pair[0] != index // 2:  # both are drawn at once
            first, second = self.spec(index - index % 2), self.spec(index - index % 2 + 1)
            self._pair = index // 2, self.renderer.render_pair(first, second, self.config.size, self._shading)
        return self._pair[1][index % 2]


def write_heads(
    *,
    count: int,
    out: str | Path,
    size: int = 128,
    seed: int = 0,
    makehuman: str | Path | None = None,
    workers: int | None = None,
    pictures_per_identity: int = 4,
    look: Literal["first", "second"] = "first",
    calm: float = 1.0,
    states: States = "portraits",
    materials: Materials = "all",
    makeup: Makeup = "own",
    motion: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Render `count` labelled heads of size x size pixels into the folder `out`.

    Args:
        count: pictures; rounded up to whole shards is never done, the last shard is shorter.
        out: folder; finished shards in it are kept and skipped.
        size: pixels of a side.
        seed: of the collection.
        makehuman: MakeHuman data folder, or None for MIEN_MAKEHUMAN.
        workers: processes; by default one a core.
        pictures_per_identity: pictures of each person, in different states and looks.
        look: "first" or "second" (see `HeadsConfig`).
        calm: spread of the sliders, 1 by default.
        states: which expressions and poses (see `faces.head.study`).
        materials: which skins, brows, hair and lights (see `faces.head.study`).
        makeup: everybody's own, or looks that groups of people share (see `Makeup`).
        motion: pairs of pictures with the flow from one to the other (see `HeadsConfig`).
        progress: called with the number of pictures of each finished shard.

    Raises:
        AssetError: the head assets are missing or damaged.
        ValueError: `out` holds shards of another configuration.
    """
    config = HeadsConfig(
        count=count,
        size=size,
        seed=seed,
        pictures_per_identity=pictures_per_identity,
        look=look,
        calm=calm,
        states=states,
        materials=materials,
        makeup=makeup,
        motion=motion,
    )
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    makehuman = find_folder(makehuman)
    jobs = [(config, shard, str(folder), str(makehuman)) for shard in _pending(config, folder, progress)]
    processes = min(workers or os.cpu_count() or 1, max(len(jobs), 1))
    if processes == 1:
        for job in jobs:
            _finish(_render_shard(job), progress)
    else:
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            for done in pool.imap_unordered(_render_shard, jobs):
                _finish(done, progress)
    return folder


def _finish(count: int, progress: Callable[[int], None] | None) -> None:
    if progress:
        progress(count)


def _shards(config: HeadsConfig) -> Iterator[tuple[int, range]]:
    step = config.identities_per_shard * config.pictures_per_identity
    for shard, start in enumerate(range(0, config.count, step)):
        yield shard, range(start, min(start + step, config.count))


def _pending(config: HeadsConfig, folder: Path, progress: Callable[[int], None] | None) -> list[int]:
    pending = []
    for shard, indices in _shards(config):
        marker = folder / f"heads-{shard:05d}.json"
        if marker.is_file():
            done = json.loads(marker.read_text(encoding="utf-8"))
            if done["config"] != config.hash():
                raise ValueError(
                    f"{marker}: made with other settings; choose another folder or remove this one"
                )
            if done["count"] == len(indices):
                _finish(len(indices), progress)
                continue
        pending.append(shard)
    return pending


_collection: tuple[HeadsConfig, HeadCollection] | None = None


def _render_shard(job: tuple[HeadsConfig, int, str, str]) -> int:
    global _collection
    config, shard, folder, makehuman = job
    if _collection is None or _collection[0] != config:  # one renderer a process
        _collection = (config, HeadCollection(config, makehuman))
    indices = dict(_shards(config))[shard]
    stem = Path(folder) / f"heads-{shard:05d}"
    rows = _write_tar(stem.with_suffix(".tar"), _collection[1], indices)
    _write_parquet(stem.with_suffix(".parquet"), rows)
    digest = hashlib.sha256(stem.with_suffix(".tar").read_bytes()).hexdigest()
    marker = {"config": config.hash(), "count": len(rows), "sha256": digest, "settings": asdict(config)}
    _replace(stem.with_suffix(".json"), json.dumps(marker, indent=1, sort_keys=True).encode())
    return len(rows)


def _write_tar(path: Path, collection: HeadCollection, indices: range) -> list[dict]:
    rows = []
    partial = path.with_suffix(".tar.part")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for index in indices:
            sample = collection.sample(index)
            key = f"{collection.config.seed:04d}_{index:07d}"
            provenance = Provenance(
                pipeline="faces.head",
                model="makehuman-cc0",
                seed=collection.config.seed,
                digital_source_type=RENDERED,
            )
            picture = to_png_bytes(Image.fromarray(sample["rgb"]), provenance)
            row = {"key": key, "sha256": hashlib.sha256(picture).hexdigest()} | sample["labels"]
            rows.append(row)
            if "alpha" in sample:
                _add(tar, f"{key}.alpha.png", _png((sample["alpha"] * 255).round().astype(np.uint8)))
            if "flow" in sample:
                _add(tar, f"{key}.flow.png", encode_flow(sample["flow"], sample["co_visible"]))
            _add(tar, f"{key}.json", json.dumps(row, sort_keys=True).encode())
            _add(tar, f"{key}.landmarks.npy", _npy(sample["landmarks"]))
            _add(tar, f"{key}.parsing.png", _png(sample["parsing"]))
            _add(tar, f"{key}.png", picture)
            _add(tar, f"{key}.spec.json", json.dumps(sample["spec"], sort_keys=True).encode())
    os.replace(partial, path)
    return rows


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # mtime, uid and gid stay 0: equal samples make equal bytes
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array.astype(np.float32))
    return buffer.getvalue()


def _png(labels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(labels).save(buffer, "png")
    return buffer.getvalue()


def _write_parquet(path: Path, rows: list[dict]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = [
        {key: json.dumps(value) if isinstance(value, (list, dict)) else value for key, value in row.items()}
        for row in rows
    ]
    partial = path.with_suffix(".parquet.part")
    pq.write_table(pa.Table.from_pylist(flat), partial)
    os.replace(partial, path)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    os.replace(partial, path)
