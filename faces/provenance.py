"""Say in the file itself that a picture is synthetic, and what made it.

The record travels as an XMP packet (PNG iTXt, JPEG APP1, WebP XMP, GIF application extension) with the IPTC digital
source type that other programs read, and with Mien's own record beside it. There is no way to save a picture without
one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal
from xml.sax.saxutils import escape, unescape

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from faces import gif

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
ANIMATED = {".webp": "WEBP", ".gif": "GIF"}
"""Of pictures that move. A GIF's 256 colours are too few for any other."""

GENERATED: Final = "trainedAlgorithmicMedia"
"""IPTC term of what a model has made."""
COMPOSITE: Final = "compositeWithTrainedAlgorithmicMedia"
"""IPTC term of a photograph that a model has edited."""
RENDERED: Final = "algorithmicMedia"
"""IPTC term of what was computed without a model."""

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:mien="urn:mien:provenance:1:"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
<mien:Record>{record}</mien:Record>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
_THINNED = 3
"""Of so many rows and columns one counts when the colours of a GIF are chosen; all of them take seconds."""
_RECORD = re.compile(r"<mien:Record>(.*?)</mien:Record>", re.DOTALL)
_MAX_PACKET = 65_000
"""An XMP packet in a JPEG has to fit one segment of 64 KiB."""


class ProvenanceError(ValueError):
    """A picture without a readable record of how it was made."""


def tool_version() -> str:
    """Version of the installed package, "0+source" when it runs uninstalled."""
    try:
        return metadata.version("mien")
    except metadata.PackageNotFoundError:
        return "0+source"


def prompt_hash(prompt: str) -> str:
    """SHA-256 of a prompt: lets its author recognise a picture without publishing the text."""
    return hashlib.sha256(prompt.encode()).hexdigest()


class Provenance(BaseModel):
    """How a picture was made. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    digital_source_type: Literal[
        "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"
    ]
    """IPTC term: made by a model, a photograph edited by a model, or rendered without one."""
    pipeline: str
    """What made it, e.g. "PortraitPipeline" or "faces.head"."""
    model: str | None = None
    model_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    seed: int | None = None
    steps: int | None = None
    prompt_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    tool_version: str = Field(default_factory=tool_version)
    synthetic: Literal[True] = True
    extra: dict[str, Any] = {}
    """Further facts, JSON types only: plan id, labels asked for, parent's hash."""

    def to_json(self) -> str:
        """Canonical JSON, keys sorted; raises ValueError for values that JSON lacks."""
        record = self.model_dump()
        try:
            return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"provenance.extra: {error}, permitted: JSON types") from error

    def to_xmp(self) -> bytes:
        """XMP packet that carries the record; raises ValueError above 64 kB."""
        packet = _PACKET.format(
            tool=escape(f"Mien {self.tool_version}"),
            source_type=SOURCE_TYPES + self.digital_source_type,
            record=escape(self.to_json()),
        ).encode()
        if len(packet) > _MAX_PACKET:
            raise ValueError(f"provenance of {len(packet)} bytes, at most {_MAX_PACKET} fit: shorten `extra`")
        return packet

    def of_edit(self) -> Provenance:
        """The same record for a photograph that was edited, not made, by the model."""
        return self.model_copy(update={"digital_source_type": COMPOSITE})


def save_image(
    image: Image.Image | np.ndarray,
    path: str | os.PathLike[str],
    provenance: Provenance,
    *,
    quality: int = 95,
) -> Path:
    """Write a picture with its record, whole or not at all.

    Args:
        image: PIL image (RGB, RGBA or L) or array (h, w), (h, w, 3 | 4), uint8 or floats in 0..1. Metadata
            that it carries is dropped.
        path: .png, .jpg, .jpeg or .webp; the folder exists.
        provenance: the record; there is no default.
        quality: of JPEG and WebP, 1..100; WebP is lossless at 100.

    Raises:
        TypeError: no record is given.
        ValueError: an unknown suffix or unusable pixels.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix '{path.suffix}', permitted: {', '.join(SUFFIXES)}")
    data = _encoded(image, provenance, SUFFIXES[path.suffix.lower()], quality)
    read(data)  # a record that cannot be read back must not reach the disk
    return write_whole(path, data)


def save_animation(
    frames: Sequence[Image.Image | np.ndarray],
    path: str | os.PathLike[str],
    provenance: Provenance,
    *,
    seconds: float = 0.1,
    quality: int = 90,
) -> Path:
    """Write pictures that are shown one after the other, over and over, as one file with their record.

    Args:
        frames: of one size, as `save_image` takes them.
        path: .webp or .gif, whose frames share 256 colours; the folder exists.
        provenance: the record; there is no default.
        seconds: how long each is shown, in hundredths.
        quality: of WebP, 1..100.

    Raises:
        TypeError: no record is given.
        ValueError: an unknown suffix, no frames or unusable pixels.
    """
    path = Path(path)
    if path.suffix.lower() not in ANIMATED:
        raise ValueError(f"{path}: unknown suffix '{path.suffix}', permitted: {', '.join(ANIMATED)}")
    if not len(frames):
        raise ValueError(f"{path}: no frames to write")
    packet, buffer = _packet(provenance), io.BytesIO()
    pictures = [_bare(frame).convert("RGB") for frame in frames]
    timing: dict[str, Any] = {"save_all": True, "duration": round(seconds * 100) * 10, "loop": 0}
    if ANIMATED[path.suffix.lower()] == "GIF":
        pictures = _reduced(pictures)
        pictures[0].save(buffer, "GIF", append_images=pictures[1:], optimize=False, **timing)
        data = gif.put_packet(buffer.getvalue(), packet)
    else:
        pictures[0].save(buffer, "WEBP", append_images=pictures[1:], quality=quality, xmp=packet, **timing)
        data = buffer.getvalue()
    read(data)
    return write_whole(path, data)


def _reduced(pictures: list[Image.Image]) -> list[Image.Image]:
    """Pictures in the 256 colours that suit all of them; a table for each would make colours flicker."""
    together = np.concatenate([np.asarray(picture)[::_THINNED, ::_THINNED] for picture in pictures])
    table = Image.fromarray(together).quantize(256, kmeans=1)
    return [picture.quantize(palette=table, dither=Image.Dither.NONE) for picture in pictures]


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file under a temporary name and rename it, so that it is there whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(data)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def to_png_bytes(image: Image.Image | np.ndarray, provenance: Provenance) -> bytes:
    """Encode as PNG with the record; equal pixels and record give equal bytes."""
    return _encoded(image, provenance, "PNG", 100)


def read(source: str | os.PathLike[str] | bytes) -> Provenance:
    """Read the record of a picture, a path or the bytes of a file.

    Raises:
        ProvenanceError: the picture has no record, or a damaged one.
    """
    name = f"image of {len(source)} bytes" if isinstance(source, bytes) else os.fspath(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
            if image.format == "GIF":  # Pillow passes over it
                packet = gif.packet_of(source if isinstance(source, bytes) else Path(source).read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise ProvenanceError(f"{name}: no picture to read provenance from") from error
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)
    found = _RECORD.search(text)
    if not found:
        raise ProvenanceError(f"{name}: no record of provenance, Mien did not write it or it was stripped")
    try:
        return Provenance.model_validate_json(unescape(found.group(1)))
    except ValidationError as error:
        raise ProvenanceError(f"{name}: damaged record of provenance ({error.errors()[0]['msg']})") from error


def _encoded(image: Image.Image | np.ndarray, provenance: Provenance, format: str, quality: int) -> bytes:
    packet, bare = _packet(provenance), _bare(image)
    if format == "JPEG" and bare.mode == "RGBA":
        raise ValueError("JPEG has no transparency, save as .png or .webp")
    buffer = io.BytesIO()
    if format == "PNG":
        notes = PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", packet.decode())
        bare.save(buffer, "PNG", pnginfo=notes, compress_level=6)
    elif format == "JPEG":
        bare.save(buffer, "JPEG", quality=quality, subsampling=0, xmp=packet)
    else:
        bare.save(buffer, "WEBP", quality=quality, lossless=quality == 100, exact=True, xmp=packet)
    return buffer.getvalue()


def _packet(provenance: Provenance) -> bytes:
    if not isinstance(provenance, Provenance):
        raise TypeError(
            f"provenance is {type(provenance).__name__}: every picture is written with a Provenance"
        )
    return provenance.to_xmp()


def _bare(image: Image.Image | np.ndarray) -> Image.Image:
    """Pixels alone: no EXIF, no comment, no profile of the picture that they came from."""
    if isinstance(image, Image.Image):
        if image.mode not in ("RGB", "RGBA", "L"):
            raise ValueError(f"picture of mode {image.mode}, permitted: RGB, RGBA, L")
        return Image.fromarray(np.asarray(image))
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise ValueError(f"pixels of shape {image.shape}, expected (h, w) or (h, w, 3 | 4)")
    if np.issubdtype(image.dtype, np.floating):
        if not (image.min() >= 0 and image.max() <= 1):
            raise ValueError(f"float pixels from {image.min():g} to {image.max():g}, expected 0..1")
        image = np.rint(image * 255).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ValueError(f"pixels of type {image.dtype}, permitted: uint8 or floats in 0..1")
    return Image.fromarray(np.ascontiguousarray(image))
