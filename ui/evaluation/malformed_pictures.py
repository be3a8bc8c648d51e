"""Files that are no usable photographs: other kinds, cut short, damaged, out of bounds, oddly named."""

from __future__ import annotations

import functools
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from itertools import cycle

import numpy as np
from PIL import Image

from faces.images import ImageError, open_image
from ui.evaluation.cases import Case, Scene
from ui.evaluation.valid import TASKS, Photo
from ui.evaluation.visitor import Answer

SEED = 20261127
CUT, FLIPPED = 20, 16
"""How many files are cut short, and how many damaged."""
_NAMING = "photograph|picture|file"
_LIMIT = 20 * 2**20
"""Bytes that an upload may have."""


def cases(photo: Photo) -> list[Case]:
    """All of them; `photo` is what is damaged."""
    rng = np.random.default_rng(SEED)
    files = [
        *_foreign().items(), *_cut(photo, rng), *_flipped(photo, rng), *_bounds().items(), *_named(photo).items(),
    ]  # fmt: skip
    tasks = cycle(TASKS)
    return [_case(name, data, next(tasks)) for name, data in files] + _too_large()


def _case(name: str, data: bytes, task: str) -> Case:
    """Upload a file under a name that tells something, and ask for a task."""
    kind, _, file = name.partition(" as ")
    file = file or f"our-wedding.{kind.split()[0].lower()}"
    shown = file.replace("\\", "/").rpartition("/")[2].partition(".")[0]
    return Case(
        name=f"{task}: {name}", send=functools.partial(_sent, task=task, name=file, data=data), naming=_NAMING,
        hidden=(shown,) if len(shown) > 5 else (),
    )  # fmt: skip


def _sent(scene: Scene, task: str, name: str, data: bytes) -> Answer:
    return scene.with_upload(task, name, data)


def _foreign() -> dict[str, bytes]:
    """What is no picture, or none that is opened, under the name of one."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("face.png", b"\x89PNG\r\n\x1a\n")
    glb = json.dumps({"asset": {"version": "2.0"}}).encode().ljust(28)
    svg = (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64"/></svg>'
    )
    return {
        "text as our-wedding.png": b"a face, honestly\n" * 20,
        "PDF as our-wedding.jpg": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "SVG as our-wedding.png": svg,
        "SVG as our-wedding.svg": svg,
        "XML bomb as our-wedding.png": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa">]><svg>&a;</svg>',
        "ZIP as our-wedding.png": archive.getvalue(),
        "GLB as our-wedding.jpg": b"glTF" + struct.pack("<II", 2, 40) + glb,
        "MP4 as our-wedding.jpg": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(64),
        "HEIC as our-wedding.jpg": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64),
        "HTML as our-wedding.webp": b"<!doctype html><script>alert(1)</script>",
        "gzip as our-wedding.png": b"\x1f\x8b\x08" + bytes(60),
        "ELF as our-wedding.png": b"\x7fELF\x02\x01\x01" + bytes(90),
        "JSON as our-wedding.png": b'{"path": "/etc/passwd"}',
        "pickle as our-wedding.png": b"\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93.",
        "EPS as our-wedding.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n",
        "noise as our-wedding.jpg": np.random.default_rng(SEED).bytes(4096),
        "nothing as our-wedding.png": b"",
        "one byte as our-wedding.jpg": b"\xff",
    }  # fmt: skip


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _is_read(data: bytes) -> bool:
    try:
        open_image(data)
    except ImageError:
        return False
    return True


def _kinds(photo: Photo) -> list[tuple[str, bytes]]:
    picture = Image.open(io.BytesIO(photo.data)).convert("RGB")
    return [(kind, _saved(picture, kind)) for kind in ("PNG", "JPEG", "WEBP", "TIFF")]


def _cut(photo: Photo, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Files that end too early, at any length."""
    found = 0
    for kind, data in cycle(_kinds(photo)):
        length = int(rng.integers(8, len(data)))
        if found == CUT:
            return
        if not _is_read(data[:length]):
            found += 1
            yield f"{kind} of {len(data)} bytes, cut at {length}", data[:length]


def _flipped(photo: Photo, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Files with wrong bytes in the middle; those that can be read all the same are left out."""
    found = 0
    for kind, data in cycle(_kinds(photo)):
        if found == FLIPPED:
            return
        count = int(2 ** rng.integers(0, 8))
        places = rng.integers(0, len(data), count)
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[places] ^= rng.integers(1, 256, count).astype(np.uint8)
        if not _is_read(damaged.tobytes()):
            found += 1
            yield f"{kind} with {count} wrong bytes, number {found}", damaged.tobytes()


def _png(width: int, height: int) -> bytes:
    """Header of a PNG of any size, and hardly anything else."""
    return _pieces(width, height, zlib.compress(bytes(64)))


def _pieces(width: int, height: int, packed: bytes) -> bytes:
    """A grey PNG out of its compressed rows."""

    def piece(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + piece(b"IHDR", header) + piece(b"IDAT", packed) + piece(b"IEND", b"")


def _one_colour(width: int, height: int) -> bytes:
    """A whole grey PNG; it is small, whatever its size."""
    packer, row = zlib.compressobj(9), bytes(width + 1)
    return _pieces(width, height, b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()]))


def _bounds() -> dict[str, bytes]:
    """Pictures of sizes and kinds that are of no use, or dangerous, or show nobody."""
    grey = Image.new("RGB", (64, 64), "grey")
    frames = [Image.new("L", (64, 64), level) for level in (0, 80, 160)]
    loud = np.random.default_rng(SEED).integers(0, 255, (128, 128, 3), np.uint8)
    return {
        "PNG of 100 megapixels": _one_colour(10_000, 10_000),
        "PNG of 65000 x 65000, header alone": _png(65_000, 65_000),
        "PNG of 2147483647 x 2147483647, header alone": _png(2**31 - 1, 2**31 - 1),
        "PNG of 0 x 64, header alone": _png(0, 64),
        "PNG of 1 x 1": _one_colour(1, 1),
        "PNG of 31 x 31": _one_colour(31, 31),
        "PNG of 1 x 20000": _one_colour(1, 20_000),
        "PNG of 20000 x 1": _one_colour(20_000, 1),
        "GIF, animated": _saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "WEBP, animated, 16 x 16": _saved(
            frames[0].resize((16, 16)), "WEBP", save_all=True, append_images=[frames[1].resize((16, 16))]
        ),
        "PNG of nothing but transparency": _saved(Image.new("RGBA", (64, 64)), "PNG"),
        "TIFF of floats": _saved(Image.new("F", (64, 64), 0.5), "TIFF"),
        "PNG of one colour": _saved(grey, "PNG"),
        "JPEG of one colour in CMYK": _saved(grey.convert("CMYK"), "JPEG"),
        "PNG of noise": _saved(Image.fromarray(loud), "PNG"),
    }  # fmt: skip


def _named(photo: Photo) -> dict[str, bytes]:
    """Names that lead elsewhere; what is in the files is no picture."""
    names: Sequence[str] = (
        "../../etc/passwd", "../../../../tmp/escaped.png", "/etc/cron.d/escaped", "..\\..\\escaped-windows.png",
        "%2e%2e%2f%2e%2e%2fescaped.png", "..;/escaped.png", "escaped\x00.png", "a" * 5000 + ".png", "~/.ssh/escaped",
        "<img src=x onerror=alert(1)>.png", "$(touch escaped).png", "CON.png",
    )  # fmt: skip
    data = photo.data[: len(photo.data) // 3]
    return {f"cut PNG as {name}": data for name in names}


def _too_large() -> list[Case]:
    data = np.random.default_rng(SEED).bytes(_LIMIT + 2**20)
    return [
        Case(
            name=f"upload of {len(data) >> 20} MiB as {name}", naming=_NAMING,
            send=functools.partial(_sent, task="makeup", name=name, data=data),
        )
        for name in ("our-wedding.png", "our-wedding.bin")
    ]  # fmt: skip
