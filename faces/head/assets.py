"""Reads the head out of a MakeHuman `data/` folder in its official layout.

The base mesh "hm08" is measured in decimetres, +Y up, +Z out of the face and +X towards the head's own left.
Only the head, neck and shoulders are kept, with the helper vertices that proxies (eyes, teeth, hair) bind to.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import sparse

from faces.head.obj import Mesh, read_mesh

ENVIRONMENT = "MIEN_MAKEHUMAN"
CROP_HEIGHT = 4.6
"""Faces of the base mesh whose vertices all lie above this base height (dm) make the bust."""
RACES = ("african", "asian", "caucasian")
HAIR = (
    "short01", "short02", "short03", "short04", "afro01", "bob01", "bob02", "braid01", "long01", "ponytail01",
)  # fmt: skip
BROWS = tuple(f"eyebrow{index:03d}" for index in range(1, 13))
LASHES = "eyelashes01"
EYE_MATERIALS = ("brown", "brownlight", "green", "bluegreen", "blue", "lightblue", "grey")
SKIN_AGES = ("young", "middleage", "old")
_DETAIL_FOLDERS = (
    "asym",
    "cheek",
    "chin",
    "ears",
    "eyebrows",
    "eyes",
    "forehead",
    "head",
    "mouth",
    "neck",
    "nose",
)
_CACHE_VERSION = 6


class AssetError(FileNotFoundError):
    """A head asset is missing or damaged; the message names the file and what was expected of it."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A mesh bound to the base mesh: fitted position = weights @ base + scale * offset (MakeHuman .mhclo)."""

    mesh: Mesh
    weights: sparse.csr_matrix  # (vertices, base vertices kept)
    offsets: np.ndarray  # (vertices, 3)
    scale_vertices: np.ndarray  # (3, 2) kept base indices per axis
    scale_lengths: np.ndarray  # (3,)

    def fit(self, base: np.ndarray) -> np.ndarray:
        """Place the proxy on a morphed base, (kept, 3) -> (vertices, 3) in dm."""
        first, second = base[self.scale_vertices[:, 0]], base[self.scale_vertices[:, 1]]
        scale = np.abs(np.diagonal(first - second)) / self.scale_lengths
        return self.weights @ base + self.offsets * scale


@dataclass(frozen=True, slots=True)
class HeadAssets:
    """Everything the head needs from disk, on a compact set of base vertices."""

    folder: Path
    kept: np.ndarray  # (k,) index into the base mesh
    base: np.ndarray  # (k, 3) neutral base positions in dm
    body: Mesh  # faces and texture coordinates over the kept vertices
    proxies: dict[str, Proxy]
    targets: dict[str, tuple[np.ndarray, np.ndarray]]  # name -> (kept index (n,), offset (n, 3))
    joints: dict[str, np.ndarray]  # name -> kept indices whose mean is the joint

    def index(self, base_index: int | np.ndarray) -> np.ndarray:
        """Map indices of the full base mesh to the kept ones."""
        return np.searchsorted(self.kept, base_index)

    def texture(self, *parts: str) -> np.ndarray:
        """Read a texture below the assets folder as (h, w, 4) uint8."""
        path = self.folder.joinpath(*parts)
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGBA"))
        except FileNotFoundError as error:
            raise AssetError(f"{path}: missing; expected a PNG texture of MakeHuman's data folder") from error
        except OSError as error:
            raise AssetError(f"{path}: not a readable PNG texture ({error})") from error


def find_folder(folder: str | Path | None = None) -> Path:
    """Resolve the MakeHuman data folder from the argument or MIEN_MAKEHUMAN; raises AssetError naming both."""
    chosen = folder or os.environ.get(ENVIRONMENT)
    if not chosen:
        raise AssetError(
            f"no head assets: pass --makehuman DIR or set {ENVIRONMENT} to MakeHuman's data folder "
            "(the one that holds 3dobjs/base.obj)"
        )
    path = Path(chosen)
    if not (path / "3dobjs" / "base.obj").is_file():
        raise AssetError(f"{path / '3dobjs' / 'base.obj'}: missing; expected MakeHuman's base mesh hm08")
    return path


def load_assets(folder: str | Path | None = None) -> HeadAssets:
    """Load the head assets, through a cache in the user's cache folder that is keyed by the files' sizes and times."""
    path = find_folder(folder)
    cache = _cache_path(path)
    if cache.is_file():
        return pickle.loads(cache.read_bytes())  # written by this module alone, below the user's own cache
    assets = _read(path)
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(pickle.dumps(assets))
    os.replace(partial, cache)
    return assets


def _cache_path(folder: Path) -> Path:
    digest = hashlib.sha256(f"{_CACHE_VERSION} {folder.resolve()}".encode())
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".obj", ".target", ".mhclo"}:
            status = file.stat()
            digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return root / "mien" / f"head-{digest.hexdigest()[:16]}.pickle"


def _read(folder: Path) -> HeadAssets:
    full, groups = _read_base(folder / "3dobjs" / "base.obj")
    bust = _bust_faces(full, groups["body"])
    raw = {name: _read_proxy(path) for name, path in _proxy_files(folder).items()}
    joints = _joints(groups, full)
    used = [full.faces[bust].ravel(), *joints.values(), *(item.references.ravel() for item in raw.values())]
    used += [item.scale_vertices.ravel() for item in raw.values()]
    kept = np.unique(np.concatenate(used))
    body = full.select(bust, kept)
    proxies = {name: item.bind(kept) for name, item in raw.items()}
    targets = {name: _read_target(path, kept) for name, path in _target_files(folder).items()}
    return HeadAssets(
        folder=folder,
        kept=kept,
        base=full.vertices[kept],
        body=body,
        proxies=proxies,
        targets=targets,
        joints={name: np.searchsorted(kept, index) for name, index in joints.items()},
    )


def _read_base(path: Path) -> tuple[Mesh, dict[str, np.ndarray]]:
    mesh, groups = read_mesh(path)
    if len(mesh.vertices) != 19158 or "body" not in groups:
        raise AssetError(
            f"{path}: expected the base mesh hm08 with 19158 vertices and a group 'body', "
            f"found {len(mesh.vertices)} vertices"
        )
    return mesh, groups


def _bust_faces(mesh: Mesh, body: np.ndarray) -> np.ndarray:
    corners = mesh.faces[body]
    heights = mesh.vertices[corners][..., 1]
    return body[(heights > CROP_HEIGHT).all(axis=1)]


def _joints(groups: dict[str, np.ndarray], mesh: Mesh) -> dict[str, np.ndarray]:
    wanted = {
        "l-eye": "helper-l-eye",
        "r-eye": "helper-r-eye",
        "neck": "joint-neck",
        "head": "joint-head",
    }
    missing = [group for group in wanted.values() if group not in groups]
    if missing:
        raise AssetError(f"3dobjs/base.obj: expected the groups {', '.join(missing)} of hm08")
    return {name: np.unique(mesh.faces[groups[group]]) for name, group in wanted.items()}


def _proxy_files(folder: Path) -> dict[str, Path]:
    files = {
        "eyes": folder / "eyes/high-poly/high-poly.mhclo",
        "teeth": folder / "teeth/teeth_base/teeth_base.mhclo",
    }
    files["tongue"] = folder / "tongue/tongue01/tongue01.mhclo"
    files["lashes"] = folder / f"eyelashes/{LASHES}/{LASHES}.mhclo"
    files |= {name: folder / f"eyebrows/{name}/{name}.mhclo" for name in BROWS}
    files |= {name: folder / f"hair/{name}/{name}.mhclo" for name in HAIR}
    return files


def _target_files(folder: Path) -> dict[str, Path]:
    root = folder / "targets"
    files = [file for name in _DETAIL_FOLDERS for file in sorted((root / name).glob("*.target"))]
    files += sorted((root / "macrodetails").glob("*.target"))
    files += [
        file for race in RACES for file in sorted((root / "expression" / "units" / race).glob("*.target"))
    ]
    if len(files) < 400:
        raise AssetError(f"{root}: expected about 500 .target files, found {len(files)}")
    return {str(file.relative_to(root).with_suffix("")).replace("\\", "/"): file for file in files}


def _read_target(path: Path, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if line.strip() and line[0] != "#"
    ]
    if not lines:  # MakeHuman ships header-only files for its averages
        return np.zeros(0, np.int32), np.zeros((0, 3), np.float32)
    try:
        rows = np.array([line.split()[:4] for line in lines], dtype=np.float64)
    except ValueError as error:
        raise AssetError(f"{path}: expected lines 'index dx dy dz' ({error})") from error
    index = rows[:, 0].astype(np.int64)
    position = np.searchsorted(kept, index)
    inside = (position < len(kept)) & (kept[np.minimum(position, len(kept) - 1)] == index)
    return position[inside].astype(np.int32), rows[inside, 1:4].astype(np.float32)


@dataclass(frozen=True, slots=True)
class _RawProxy:
    mesh: Mesh
    references: np.ndarray  # (n, 3) indices of the full base
    barycentric: np.ndarray  # (n, 3)
    offsets: np.ndarray  # (n, 3)
    scale_vertices: np.ndarray
    scale_lengths: np.ndarray

    def bind(self, kept: np.ndarray) -> Proxy:
        count = len(self.references)
        rows = np.repeat(np.arange(count), 3)
        columns = np.searchsorted(kept, self.references.ravel())
        weights = sparse.csr_matrix((self.barycentric.ravel(), (rows, columns)), shape=(count, len(kept)))
        return Proxy(
            mesh=self.mesh,
            weights=sparse.csr_matrix(weights, dtype=np.float32),
            offsets=self.offsets.astype(np.float32),
            scale_vertices=np.searchsorted(kept, self.scale_vertices),
            scale_lengths=self.scale_lengths,
        )


def _read_proxy(path: Path) -> _RawProxy:
    if not path.is_file():
        raise AssetError(f"{path}: missing; expected a MakeHuman proxy (.mhclo)")
    scales: dict[str, tuple[int, int, float]] = {}
    references, barycentric, offsets = [], [], []
    object_file, in_vertices = path.with_suffix(".obj").name, False
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "obj_file":
            object_file = words[1]
        elif words[0] in {"x_scale", "y_scale", "z_scale"}:
            scales[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        elif words[0] == "verts":
            in_vertices = True
        elif in_vertices and len(words) == 1 and words[0].isdigit():  # bound one to one
            references.append([int(words[0])] * 3)
            barycentric.append([1.0, 0.0, 0.0])
            offsets.append([0.0, 0.0, 0.0])
        elif in_vertices and len(words) >= 9 and words[0].isdigit():
            references.append([int(word) for word in words[:3]])
            barycentric.append([float(word) for word in words[3:6]])
            offsets.append([float(word) for word in words[6:9]])
    mesh, _ = read_mesh(path.with_name(object_file))
    if set(scales) != {"x", "y", "z"} or len(references) != len(mesh.vertices):
        raise AssetError(
            f"{path}: expected x_scale, y_scale, z_scale and one binding for each of the {len(mesh.vertices)} vertices "
            f"of {object_file}, found {len(references)} bindings"
        )
    ordered = [scales[axis] for axis in "xyz"]
    return _RawProxy(
        mesh=mesh,
        references=np.array(references),
        barycentric=np.array(barycentric),
        offsets=np.array(offsets),
        scale_vertices=np.array([[first, second] for first, second, _ in ordered]),
        scale_lengths=np.array([length for *_, length in ordered]),
    )
