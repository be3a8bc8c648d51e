"""Every written picture says that it is synthetic, and the record can be read back."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from faces import provenance as module
from faces.provenance import Provenance, ProvenanceError, prompt_hash, read, save_image, to_png_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
RECORD = Provenance(
    digital_source_type="trainedAlgorithmicMedia", pipeline="PortraitPipeline", model="mini",
    model_sha256="ab" * 32, seed=2**63 - 1, steps=20, prompt_sha256=prompt_hash("portrait of a woman"),
    extra={"note": "]]> <&\"' ünï 脸 </mien:Record>", "labels": {"yaw": -12.5, "marks": [1, 2]}},
)  # fmt: skip


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_record_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = save_image(PIXELS, tmp_path / f"portrait{suffix}", RECORD)
    assert read(path) == RECORD and read(path.read_bytes()) == RECORD and read(path).synthetic
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    pixels = np.asarray(Image.open(path))
    assert pixels.shape == PIXELS.shape
    if suffix.lower() == ".png":
        np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize(
    "kind", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"]
)
def test_other_programs_find_the_digital_source_type(tmp_path: Path, suffix: str, kind: str) -> None:
    record = RECORD.model_copy(update={"digital_source_type": kind})
    with Image.open(save_image(PIXELS, tmp_path / f"a{suffix}", record)) as image:
        packet = image.info["xmp"]
    root = ElementTree.fromstring(packet if isinstance(packet, str) else packet.decode())
    found = root.find(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert found is not None and found.text == f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"


def test_png_carries_the_packet_in_its_standard_chunk() -> None:
    data, position, kinds = to_png_bytes(PIXELS, RECORD), 8, {}
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        kinds[data[position + 4 : position + 8]] = data[position + 8 : position + 8 + length]
        position += 12 + length
    assert kinds[b"iTXt"].startswith(b"XML:com.adobe.xmp\0")
    assert not {b"tIME", b"tEXt"} & set(kinds)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_equal_pictures_give_equal_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = (save_image(PIXELS, tmp_path / f"{name}{suffix}", RECORD) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    other = save_image(PIXELS, tmp_path / f"c{suffix}", RECORD.model_copy(update={"seed": 1}))
    assert first.read_bytes() != other.read_bytes()
    assert to_png_bytes(PIXELS, RECORD) == to_png_bytes(Image.fromarray(PIXELS), RECORD)
    assert to_png_bytes(PIXELS, RECORD) == to_png_bytes(PIXELS / 255, RECORD)


def test_record_depends_on_contents_not_on_order() -> None:
    one, two = (RECORD.model_copy(update={"extra": extra}) for extra in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))
    assert one.to_xmp() == two.to_xmp()


def test_nothing_is_written_without_a_record(tmp_path: Path) -> None:
    for nothing in (None, {}, "synthetic"):
        with pytest.raises(TypeError, match="every picture is written with a Provenance"):
            save_image(PIXELS, tmp_path / "a.png", nothing)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            to_png_bytes(PIXELS, nothing)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        save_image(PIXELS, tmp_path / "a.png")  # type: ignore[call-arg]
    assert not list(tmp_path.iterdir())


def test_metadata_of_the_source_does_not_leak() -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home, Secret Street 5"
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", exif=exif, comment=b"Secret comment")
    source = Image.open(io.BytesIO(buffer.getvalue()))
    assert b"Secret" in buffer.getvalue() and b"Secret" not in to_png_bytes(source, RECORD)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_image(PIXELS, tmp_path / "a.png", RECORD)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(module.os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        save_image(PIXELS[::-1], path, RECORD)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_files_without_a_record_are_named(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.fromarray(PIXELS).save(path)
    with pytest.raises(ProvenanceError, match=r"plain\.png: no record of provenance"):
        read(path)
    with pytest.raises(ProvenanceError, match=r"gone\.png: no picture"):
        read(tmp_path / "gone.png")
    stripped = io.BytesIO()
    Image.open(io.BytesIO(to_png_bytes(PIXELS, RECORD))).convert("RGB").save(stripped, "JPEG")
    with pytest.raises(ProvenanceError, match="stripped"):
        read(stripped.getvalue())
    damaged = to_png_bytes(PIXELS, RECORD.model_copy(update={"synthetic": False}))
    with pytest.raises(ProvenanceError, match="damaged record"):
        read(damaged)


@pytest.mark.parametrize(
    "change",
    [
        {"synthetic": False},
        {"digital_source_type": "digitalCapture"},
        {"model_sha256": "short"},
        {"camera": "x"},
    ],
)
def test_records_are_strict(change: dict) -> None:
    with pytest.raises(ValidationError):
        Provenance(**(RECORD.model_dump() | change))


def test_extra_is_json_and_short() -> None:
    with pytest.raises(ValueError, match=r"provenance\.extra: .*permitted: JSON types"):
        to_png_bytes(PIXELS, RECORD.model_copy(update={"extra": {"a": float("nan")}}))
    with pytest.raises(ValueError, match="shorten `extra`"):
        to_png_bytes(PIXELS, RECORD.model_copy(update={"extra": {"a": "x" * 70_000}}))


def test_pictures_that_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown suffix '\.gif', permitted: \.png"):
        save_image(PIXELS, tmp_path / "a.gif", RECORD)
    with pytest.raises(ValueError, match="no transparency"):
        save_image(np.zeros((40, 40, 4), np.uint8), tmp_path / "a.jpg", RECORD)
    with pytest.raises(ValueError, match="float pixels from 0 to 3"):
        save_image(np.linspace(0, 3, 40 * 40 * 3).reshape(40, 40, 3), tmp_path / "a.png", RECORD)
    with pytest.raises(ValueError, match=r"shape \(3, 40, 40\)"):
        save_image(np.zeros((3, 40, 40), np.uint8), tmp_path / "a.png", RECORD)


@pytest.mark.parametrize("shape", [(40, 40), (40, 40, 4)])
def test_grey_and_transparent_pictures(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for path in (tmp_path / "a.png", tmp_path / "a.webp"):
        assert read(save_image(pixels, path, RECORD, quality=100)) == RECORD
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
