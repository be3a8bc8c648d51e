"""XMP packets in GIF files: they are found where they are, and no picture is shown otherwise than without."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from faces import provenance
from faces.gif import packet_of, put_packet
from faces.provenance import Provenance, ProvenanceError, read, save_animation

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 20, 24, 3), np.uint8)
RECORD = Provenance(
    digital_source_type="algorithmicMedia", pipeline="faces.head", seed=1, extra={"note": "ünï 脸 ;,!\u00ff"}
)


def gif(frames=FRAMES, **options):
    pictures, buffer = [Image.fromarray(frame) for frame in frames], io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], **options)
    return buffer.getvalue()


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
        return np.stack(frames)


@pytest.mark.parametrize("options", [{"loop": 0, "duration": 40}, {"comment": b"!\xff\x0bXMP Data"}, {}])
def test_a_packet_is_read_back_and_changes_no_frame(options):
    bare = gif(**options)
    assert packet_of(bare) == b""
    data = put_packet(bare, RECORD.to_xmp())
    assert packet_of(data) == RECORD.to_xmp() and read(data) == RECORD
    assert np.array_equal(decoded(data), decoded(bare))


def test_the_trailer_leads_every_reader_out_of_the_packet():
    """A reader that takes the packet for blocks comes out at the end, whatever the packet's length is."""
    bare = gif(FRAMES[:1])
    for length in range(1, 300):
        data = put_packet(bare, b"x" * length)
        place = len(bare) - 1 + 14
        while data[place]:
            place += data[place] + 1
        assert data[place + 1 :] == b";" and packet_of(data) == b"x" * length


def test_what_is_no_whole_gif_is_refused():
    with pytest.raises(ValueError, match="no GIF"):
        put_packet(gif()[:-1], b"<x/>")
    with pytest.raises(ValueError, match="byte 0"):
        put_packet(gif(), b"a\0b")
    with pytest.raises(ValueError, match="breaks off"):
        packet_of(gif()[:-40])


def test_gifs_without_a_record_are_named(tmp_path):
    (tmp_path / "plain.gif").write_bytes(gif())
    with pytest.raises(ProvenanceError, match=r"plain\.gif: no record of provenance"):
        read(tmp_path / "plain.gif")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".GIF"])
def test_animations_carry_their_record_and_equal_ones_are_equal_bytes(tmp_path, suffix):
    one, other = (save_animation(FRAMES, tmp_path / f"{name}{suffix}", RECORD, seconds=0.05) for name in "ab")
    assert read(one) == read(one.read_bytes()) == RECORD
    assert one.read_bytes() == other.read_bytes()
    with Image.open(one) as image:
        assert image.n_frames == len(FRAMES) and image.info["loop"] == 0
        image.load()
        assert image.info["duration"] == 50
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_frames_of_a_gif_share_its_colours(tmp_path):
    ramp = np.linspace(60, 200, 24 * 20).reshape(20, 24, 1)
    frames = np.rint(np.stack([ramp * [1, 0.8, 0.6] + shift for shift in range(0, 50, 5)])).astype(np.uint8)
    frames[:, :4] = 255
    shown = decoded(save_animation(list(frames), tmp_path / "a.gif", RECORD).read_bytes())
    assert shown.shape == frames.shape
    assert np.abs(shown.astype(int) - frames).mean() < 3 and (shown[:, :4] == 255).all()
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256


def test_animations_that_cannot_be_written(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"unknown suffix '\.png', permitted: \.webp, \.gif"):
        save_animation(FRAMES, tmp_path / "a.png", RECORD)
    with pytest.raises(ValueError, match="no frames"):
        save_animation([], tmp_path / "a.gif", RECORD)
    with pytest.raises(TypeError, match="written with a Provenance"):
        save_animation(FRAMES, tmp_path / "a.gif", None)
    monkeypatch.setattr(provenance.gif, "put_packet", lambda data, packet: data)  # as if it were lost
    with pytest.raises(ProvenanceError):
        save_animation(FRAMES, tmp_path / "a.gif", RECORD)
    assert not list(tmp_path.iterdir())
