"""Open pictures that nobody has checked: any common format in, uint8 RGB or one clear error out.

What a picture states about itself is honoured (EXIF orientation, colour profile, transparency) and noted in
the log; what is broken, ambiguous or out of bounds is refused, never guessed.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF")
"""Formats that are opened, by Pillow's names; JPEG includes the MPO of phones that store several pictures."""
MAX_PIXELS = 64_000_000
MAX_BYTES = 256 * 2**20
MIN_SIDE = 32
WHITE = (255, 255, 255)

ImageSource = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | Image.Image
    | np.ndarray
    | torch.Tensor
)

_logger = logging.getLogger(__name__)
_FOREIGN = {
    b"%PDF": "a PDF",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML file",
    b"PK\x03\x04": "a ZIP archive",
}
_BRANDS = {
    b"heic": "a HEIC picture", b"heix": "a HEIC picture", b"mif1": "a HEIF picture",
    b"isom": "a video", b"mp42": "a video", b"qt  ": "a video",
}  # fmt: skip
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


class ImageError(ValueError):
    """A picture that cannot be used; the message names it, what is wrong and what would be right."""


def open_image(
    source: ImageSource,
    *,
    name: str | None = None,
    background: tuple[int, int, int] = WHITE,
    min_side: int = MIN_SIDE,
) -> np.ndarray:
    """Open a picture as pixels.

    Args:
        source: a path, the bytes of a file, a binary file object, a PIL image, an array (h, w) or
            (h, w, 1 | 3 | 4) of uint8, uint16 or floats in 0..1, or a tensor (1 | 3 | 4, h, w) or
            (1, 3, h, w) of the same types.
        name: how errors call the picture; by default its path or kind.
        background: the colour that lies under transparent pixels.
        min_side: smallest permitted width and height in pixels.

    Returns:
        uint8 RGB, (h, w, 3), upright, in sRGB. Of a file with several frames or pages, the first one; a PIL
        image gives the frame it stands at.

    Raises:
        ImageError: the picture is missing, broken, truncated, too large, too small or of an unknown kind.
    """
    name = name or describe(source)
    if isinstance(source, torch.Tensor):
        source = _from_tensor(source, name)
    if isinstance(source, np.ndarray):
        image = _from_array(source, name)
        _check_size(image.size, name, min_side)
    elif isinstance(source, Image.Image):
        _check_size(source.size, name, min_side)
        with _naming(name):
            image = _normalised(source, name)
    else:
        with _naming(name), _decoded(_read(source, name), name) as picture:
            _check_size(picture.size, name, min_side)
            picture.load()
            image = _normalised(picture, name)
    return np.array(_flattened(image, background, name))


def describe(source: ImageSource) -> str:
    """Name a source for messages: its path or file name, else its kind."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return f"image of {len(source)} bytes"
    if isinstance(source, np.ndarray | torch.Tensor):
        return f"{type(source).__name__} of shape {tuple(source.shape)}"
    return str(getattr(source, "filename", None) or getattr(source, "name", None) or type(source).__name__)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged data into one ImageError that names the picture."""
    try:
        yield
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(
            f"{name}: more than {MAX_PIXELS / 1e6:.0f} megapixels, make it smaller first"
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name}: not a picture that can be read, permitted: {', '.join(FORMATS)}"
        ) from error
    except Exception as error:  # decoders raise nearly anything on hostile bytes
        raise ImageError(f"{name}: damaged or truncated picture ({' '.join(str(error).split())})") from error


def _read(source: Any, name: str) -> bytes:
    """Read a file whole, within `MAX_BYTES`."""
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif isinstance(source, str | os.PathLike):
        data = _read_path(Path(source), name)
    elif hasattr(source, "read"):
        data = source.read(MAX_BYTES + 1)
        if not isinstance(data, bytes):
            raise ImageError(f"{name}: opened as text, open it in binary mode ('rb')")
    else:
        raise ImageError(
            f"{name}: {type(source).__name__} is not a picture, give a path, bytes, PIL image or array"
        )
    if not data:
        raise ImageError(f"{name}: empty file")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name}: more than {MAX_BYTES // 2**20} MiB, make it smaller first")
    return data


def _read_path(path: Path, name: str) -> bytes:
    if name.startswith(("http://", "https://")):
        raise ImageError(f"{name}: addresses are not opened, download the picture first")
    if path.is_dir():
        raise ImageError(f"{name}: is a folder, give one picture")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise ImageError(f"{name}: no such file") from error
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror or error})") from error


def _decoded(data: bytes, name: str) -> Image.Image:
    """Open the header of a picture; pixels are not decoded yet."""
    foreign = next((kind for start, kind in _FOREIGN.items() if data.lstrip()[:16].startswith(start)), None)
    foreign = foreign or (_BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None)
    if foreign:
        raise ImageError(f"{name}: {foreign}, save it as PNG or JPEG first")
    Image.init()  # loads the plugins that `formats` may name
    return Image.open(io.BytesIO(data), formats=[format for format in FORMATS if format in Image.OPEN])


def _check_size(size: tuple[int, ...], name: str, min_side: int) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        pixels = f"{width} x {height} px is more than {MAX_PIXELS / 1e6:.0f} megapixels"
        raise ImageError(f"{name}: {pixels}, make it smaller first")
    if min(width, height) < min_side:
        raise ImageError(f"{name}: {width} x {height} px, at least {min_side} px a side are needed")


def _normalised(image: Image.Image, name: str) -> Image.Image:
    """Apply what the picture says about itself: 8 bits, sRGB, upright. Leaves RGB or RGBA."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        _logger.info("%s: frame %d of %d is used", name, image.tell() + 1, frames)
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    profile = image.info.get("icc_profile")
    image = _eight_bit(image, name)
    if orientation in _UPRIGHT:
        _logger.info("%s: turned upright by its EXIF orientation %d", name, orientation)
        image = image.transpose(_UPRIGHT[orientation])
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        image = _to_srgb(image, profile, name)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if sixteen:
        _logger.info("%s: 16 bits a channel reduced to 8", name)
        return Image.fromarray(_halved(np.asarray(image).astype(np.uint16)))
    if image.mode in ("I", "F"):
        raise ImageError(f"{name}: 32-bit pixels have no stated white, save it with 8 or 16 bits a channel")
    return image


def _halved(pixels: np.ndarray) -> np.ndarray:
    """Map 0..65535 to 0..255, rounding."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _to_srgb(image: Image.Image, profile: bytes, name: str) -> Image.Image:
    """Convert from an embedded colour profile; one that does not fit is left out, with a warning."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        colours = image.convert("RGB") if alpha else image
        result = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        _logger.warning("%s: colour profile ignored (%s)", name, error)
        return image
    if alpha and result:
        result.putalpha(alpha)
    return result or image


def _flattened(image: Image.Image, background: tuple[int, int, int], name: str) -> Image.Image:
    if image.mode != "RGBA":
        return image
    alpha = np.asarray(image.getchannel("A"))
    if not alpha.any():
        raise ImageError(f"{name}: entirely transparent, nothing to see")
    if alpha.min() < 255:
        _logger.info("%s: transparent pixels laid over the colour %s", name, background)
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")


def _from_tensor(tensor: torch.Tensor, name: str) -> np.ndarray:
    if tensor.ndim == 4 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim == 2:
        tensor = tensor[None]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise ImageError(f"{name}: expected one picture of shape (1 | 3 | 4, h, w)")
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).permute(1, 2, 0).numpy()


def _from_array(pixels: np.ndarray, name: str) -> Image.Image:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ImageError(f"{name}: expected shape (h, w) or (h, w, 1 | 3 | 4)")
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = _from_floats(pixels, name)
    elif pixels.dtype == np.uint16:
        pixels = _halved(pixels)
    elif pixels.dtype != np.uint8:
        raise ImageError(f"{name}: pixels of type {pixels.dtype}, permitted: uint8, uint16 or floats in 0..1")
    pixels = np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], max(3, pixels.shape[2]))))
    return Image.fromarray(pixels)


def _from_floats(pixels: np.ndarray, name: str) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # NaN fails too
        raise ImageError(f"{name}: float pixels from {low:g} to {high:g}, expected 0..1")
    return np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
