"""Every kind of picture comes out as uint8 RGB or as one error that names it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from faces import images
from faces.images import ImageError, open_image


def picture(height: int = 40, width: int = 48) -> np.ndarray:
    """A smooth picture in which every corner differs."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / (width - 1), y * 255 / (height - 1), 0 * x + 90], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path) -> None:
    pixels = picture()
    data = encoded(Image.fromarray(pixels))
    path = tmp_path / "portrait.png"
    path.write_bytes(data)
    floats = pixels.astype(np.float32) / 255
    tensor = torch.from_numpy(floats).permute(2, 0, 1)
    with path.open("rb") as file:
        files = (path, str(path), data, bytearray(data), memoryview(data), file, Image.open(path))
        arrays = (pixels, floats, floats.astype(np.float64), pixels.astype(np.uint16) * 257)
        tensors = (tensor, tensor[None], tensor.double(), torch.from_numpy(pixels).permute(2, 0, 1))
        for source in (*files, *arrays, *tensors):
            opened = open_image(source)
            assert opened.dtype == np.uint8 and opened.flags.writeable
            np.testing.assert_array_equal(opened, pixels)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "JPEG", "AVIF"])
def test_formats(format: str) -> None:
    lossless = {"lossless": True} if format == "WEBP" else {}
    opened = open_image(encoded(Image.fromarray(picture()), format, **lossless))
    tolerance = {"JPEG": 24, "GIF": 32, "AVIF": 24}.get(format, 0)
    assert np.abs(opened.astype(int) - picture()).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    turn = Image.Transpose
    undo = {
        2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE,
        6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270,
    }  # fmt: skip
    stored = Image.fromarray(picture())
    stored = stored.transpose(undo[orientation]) if orientation in undo else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(open_image(encoded(stored, exif=exif)), picture())


def test_impossible_exif_orientation_changes_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 99
    np.testing.assert_array_equal(open_image(encoded(Image.fromarray(picture()), exif=exif)), picture())


def test_transparency_lies_over_the_stated_background() -> None:
    alpha = np.full((40, 48, 1), 255, np.uint8)
    alpha[:20] = 0
    data = encoded(Image.fromarray(np.concatenate([picture(), alpha], -1)))
    assert (open_image(data)[:20] == 255).all()
    over_red = open_image(data, background=(200, 10, 20))
    assert (over_red[:20] == (200, 10, 20)).all()
    np.testing.assert_array_equal(over_red[20:], picture()[20:])
    half = np.concatenate([np.zeros((40, 48, 3)), np.full((40, 48, 1), 0.5)], -1)
    assert abs(int(open_image(half)[0, 0, 0]) - 127) <= 1


def test_transparent_colour_of_a_palette() -> None:
    image = Image.fromarray(picture()).quantize(8)
    image.info["transparency"] = image.getpixel((0, 0))
    opened = open_image(encoded(image, transparency=image.getpixel((0, 0))), background=(1, 2, 3))
    assert tuple(opened[0, 0]) == (1, 2, 3) and tuple(opened[-1, -1]) != (1, 2, 3)


def test_entirely_transparent_is_refused() -> None:
    with pytest.raises(ImageError, match="entirely transparent"):
        open_image(Image.new("RGBA", (64, 64), (9, 9, 9, 0)))


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "YCbCr", "HSV", "RGBX", "CMYK", "RGBA", "PA"])
def test_colour_modes(mode: str) -> None:
    grey = Image.fromarray(np.full((40, 40, 3), 255, np.uint8)).convert("L" if mode == "LA" else "RGB")
    opened = open_image(grey.convert("P").convert("PA") if mode == "PA" else grey.convert(mode))
    assert opened.shape == (40, 40, 3) and (opened >= 250).all()


def test_grey_stays_grey() -> None:
    grey = picture()[..., 0]
    for source in (grey, grey[..., None], encoded(Image.fromarray(grey)), torch.from_numpy(grey)):
        np.testing.assert_array_equal(open_image(source), np.repeat(grey[..., None], 3, -1))


def test_sixteen_bits_are_rounded_to_eight() -> None:
    grey = picture()[..., 0]
    data = encoded(Image.fromarray(grey.astype(np.uint16) * 257))
    np.testing.assert_array_equal(open_image(data)[..., 0], grey)
    assert open_image(encoded(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"))[5, 9, 0] == grey[5, 9]


def test_cmyk_jpeg_keeps_its_colours() -> None:
    cmyk = Image.new("RGB", (64, 64), (220, 60, 30)).convert("CMYK")
    assert np.abs(open_image(encoded(cmyk, "JPEG", quality=95)).astype(int) - (220, 60, 30)).max() <= 6


def test_colour_profile_is_honoured_or_reported(caplog: pytest.LogCaptureFixture) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    opened = open_image(encoded(Image.fromarray(picture()), icc_profile=srgb))
    assert np.abs(opened.astype(int) - picture()).max() <= 2
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    opened = open_image(encoded(Image.fromarray(picture()), icc_profile=lab), name="odd.png")
    np.testing.assert_array_equal(opened, picture())
    assert "odd.png: colour profile ignored" in caplog.text


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_gives_its_first_frame(format: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "green")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    opened = open_image(data, name="moving")
    assert opened[0, 0, 0] > 240 and opened[0, 0, 2] < 16
    assert "moving: frame 1 of 3" in caplog.text
    chosen = Image.open(io.BytesIO(data))
    chosen.seek(1)
    assert open_image(chosen)[0, 0, 2] > 240 and chosen.tell() == 1


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_files_are_refused(format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    data = encoded(Image.fromarray(noise), format)
    with pytest.raises(ImageError, match=r"^cut\.img: "):
        open_image(data[: int(len(data) * share)], name="cut.img")


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_never_escape_as_another_error() -> None:
    rng = np.random.default_rng(0)
    for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        data = bytearray(encoded(Image.fromarray(picture()), format))
        for _ in range(60):
            broken = bytearray(data)
            for place in rng.integers(0, len(data), 6):
                broken[place] = rng.integers(256)
            try:
                assert open_image(bytes(broken), name="x").shape[2] == 3
            except ImageError as error:
                assert str(error).startswith("x: ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"hello, this is text", "not a picture"),
        (b"%PDF-1.7 ...", "a PDF, save it as PNG or JPEG"),
        (b"  <svg xmlns='x'></svg>", "an SVG drawing"),
        (b"\x00\x00\x00\x18ftypheic" + b"\0" * 40, "a HEIC picture, save it as PNG or JPEG"),
        (b"\x00\x00\x00\x18ftypmp42" + b"\0" * 40, "a video"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=f"^notes.txt: .*{message}"):
        open_image(data, name="notes.txt")


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png: no such file"):
        open_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="is a folder, give one picture"):
        open_image(tmp_path)
    with pytest.raises(ImageError, match="addresses are not opened"):
        open_image("https://example.org/a.png")
    with pytest.raises(ImageError, match="binary mode"):
        open_image(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="list is not a picture"):
        open_image([1, 2, 3])  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(31, 200), (200, 16), (1, 1)])
def test_tiny_pictures_are_refused(size: tuple[int, int]) -> None:
    for source in (
        Image.new("RGB", size),
        encoded(Image.new("RGB", size)),
        np.zeros((*size[::-1], 3), np.uint8),
    ):
        with pytest.raises(ImageError, match=f"{size[0]} x {size[1]} px, at least 32 px a side"):
            open_image(source, name="small")


@pytest.mark.filterwarnings("ignore:Image size")
def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side in (8001, 10_000, 60_000):  # just above the limit, and above both limits of Pillow
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        with pytest.raises(ImageError, match="bomb.png: .*more than 64 megapixels, make it smaller first"):
            open_image(data, name="bomb.png")


def test_a_file_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 2**20)
    with pytest.raises(ImageError, match="more than 1 MiB"):
        open_image(io.BytesIO(b"\0" * (2**20 + 1)))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((3, 64, 64), np.uint8), r"expected shape \(h, w\) or \(h, w, 1 \| 3 \| 4\)"),
        (np.zeros((64,), np.uint8), "expected shape"),
        (np.zeros((64, 64, 3), np.int64), "type int64, permitted: uint8, uint16 or floats"),
        (np.full((64, 64, 3), -1.0), "float pixels from -1 to -1, expected 0..1"),
        (np.full((64, 64, 3), 255.0), "from 255 to 255, expected 0..1"),
        (np.full((64, 64, 3), np.nan), "from nan to nan"),
        (torch.zeros(64, 64, 3), "expected one picture of shape"),
        (torch.zeros(2, 3, 64, 64), "expected one picture of shape"),
        (Image.new("F", (64, 64)), "32-bit pixels have no stated white"),
    ],
)
def test_ambiguous_arrays_are_refused(source, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_image(source)


def test_names_come_from_the_source(tmp_path: Path) -> None:
    path = tmp_path / "me.png"
    path.write_bytes(b"junk")
    for source in (path, str(path), path.open("rb")):
        with pytest.raises(ImageError, match=r"me\.png: not a picture"):
            open_image(source)
