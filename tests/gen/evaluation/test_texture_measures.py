"""The arithmetic of what is measured of textures, on errors that are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from gen.evaluation import texture
from gen.evaluation.texture import Read
from gen.evaluation.texture_exam import TextureExam
from gen.evaluation.texture_guesses import GUESSES
from gen.evaluation.texture_measures import (
    MODEL,
    Regions,
    detail_lines,
    gain_bars,
    line,
    psnr_lines,
    seam_bar,
    symmetry_line,
    wrong_subject_bar,
)
from pipelines.texture.layout import UVLayout

SIZE = 32
SEEN = 12
"""Columns from the left that are seen: so many from the right are mirror-seen, and the 8 in the middle never."""
NEVER, MIRRORED = slice(SEEN, SIZE - SEEN), slice(SIZE - SEEN, SIZE)
MARK = (slice(4, 16), slice(22, 30))
YAWS = (-50.0, -33.0, -31.0, -2.0, 4.0, 35.0, 44.0, 46.0)
SIX = 20 * np.log10(2)
"""dB by which half an error is better than it."""


@pytest.fixture(scope="module")
def layout():
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    mirror = np.stack([SIZE - x, y], axis=-1).astype(np.float32)
    valid = np.ones((SIZE, SIZE), bool)
    valid[:2] = False
    return UVLayout(size=SIZE, valid=valid, mirror=mirror, charts=valid.astype(np.uint8), mesh_id="toy")


@pytest.fixture(scope="module")
def truth():
    """Alike on both sides but for a mark among the texels whose mirror images are seen."""
    rng = np.random.default_rng(0)
    half = rng.uniform(-0.4, 0.4, (len(YAWS), 3, SIZE, SIZE // 2))
    whole = torch.from_numpy(np.concatenate([half, half[..., ::-1]], axis=-1)).float()
    whole[..., *MARK] -= 0.3
    return whole


@pytest.fixture(scope="module")
def weight():
    seen = torch.zeros(len(YAWS), 1, SIZE, SIZE)
    seen[..., :SEEN] = 1
    return seen


@pytest.fixture(scope="module")
def where(truth, weight, layout):
    return Regions.of(truth, weight, layout)


@pytest.fixture(scope="module")
def exam():
    nothing = np.zeros(len(YAWS))
    return TextureExam(
        textures=nothing, pictures=nothing, lit=nothing, parsing=nothing, landmarks=nothing,
        yaw=np.array(YAWS),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(truth):
    """The pipeline errs half as much as the guesses do."""
    return {MODEL: truth + 0.05} | dict.fromkeys(GUESSES, truth - 0.1)


def found(bars):
    assert len({bar.name for bar in bars}) == len(bars)
    return {bar.name: bar for bar in bars}


def test_regions_are_told_by_what_is_seen_and_a_mark_by_its_difference(where, layout):
    inside = {name: mask[0, 0].numpy() for name, mask in where.inside.items()}
    assert inside["never"].any(axis=0).nonzero()[0].tolist() == list(range(SIZE))[NEVER]
    assert inside["mirrored"].any(axis=0).nonzero()[0].tolist() == list(range(SIZE))[MIRRORED]
    marked = np.zeros((SIZE, SIZE), bool)
    marked[MARK] = True
    assert np.array_equal(inside["one-sided"], marked)
    assert not any(mask[~layout.valid].any() for mask in inside.values())


def test_a_weak_difference_is_no_mark(truth, weight, layout):
    weak = truth.clone()
    weak[..., *MARK] += 0.3 - 0.15  # of 2: 7.5 %
    assert not Regions.of(weak, weight, layout).inside["one-sided"].any()


def test_gains_are_differences_of_psnr(made, where, exam):
    bars = found(gain_bars(made, made["mean"], where, exam))
    whole = {name: bar for name, bar in bars.items() if "yaw" not in name}
    assert len(whole) == 4
    for bar in whole.values():
        assert (bar.value, bar.control, bar.n) == (
            pytest.approx(SIX, 1e-3),
            pytest.approx(0, abs=1e-4),
            len(YAWS),
        )
        assert bar.passed and bar.ci95 == pytest.approx((SIX, SIX), 1e-3)
    limits = [(name.split(": dB over ")[0], name.split(" over ")[1], bar.bar) for name, bar in whole.items()]
    assert limits == [
        ("never-seen texels", GUESSES["fitted"], 1.0), ("never-seen texels", GUESSES["pca"], 0.0),
        ("mirror-seen texels", GUESSES["mirror"], 0.5),
        ("one-sided marks, mirror-seen texels", GUESSES["mirror"], 1.0),
    ]  # fmt: skip


def test_gains_are_those_over_the_guess_that_is_named(made, where, exam, truth):
    for rival, touched in (("fitted", 1), ("pca", 1), ("mirror", 2), ("telea", 0), ("harmonised", 0)):
        better = made | {rival: truth + 0.05}
        bars = [bar for bar in gain_bars(better, made["mean"], where, exam) if "yaw" not in bar.name]
        level = [bar for bar in bars if abs(bar.value) < 1e-3]
        assert len(level) == touched and all(GUESSES[rival] in bar.name for bar in level)


def test_gains_are_told_by_yaw_where_there_are_enough_heads(made, where, exam, truth):
    worse = made | {
        MODEL: truth
        + torch.where(torch.tensor([abs(yaw) > 40 for yaw in YAWS]), 0.1, 0.05)[:, None, None, None]
    }
    bars = found(gain_bars(worse, made["mean"], where, exam))
    name = f"never-seen texels: dB over {GUESSES['fitted']}"
    assert {key for key in bars if key.startswith(name)} == {name, f"{name}, yaw 30 to 45"}
    turned = bars[f"{name}, yaw 30 to 45"]
    assert turned.n == 4 and turned.value == pytest.approx(SIX * 3 / 4, 1e-3)
    assert bars[name].value == pytest.approx(SIX * 5 / 8, 1e-3)


def test_heads_that_show_too_little_of_a_region_do_not_count(made, truth, layout, weight, exam):
    whole = weight.clone()
    whole[:3] = 1
    bars = found(gain_bars(made, made["mean"], Regions.of(truth, whole, layout), exam))
    assert {bar.n for name, bar in bars.items() if "yaw" not in name} == {len(YAWS) - 3}
    assert not any("yaw 30" in name for name in bars), "two are left"
    everything = Regions.of(truth, torch.ones_like(weight), layout)
    nothing = gain_bars(made, made["mean"], everything, exam)
    assert len(nothing) == 4 and all(bar.value is None and not bar.passed for bar in nothing)


def test_lines_of_psnr_are_there_for_every_guess_and_have_no_limit(made, where, exam):
    lines = found(psnr_lines(made, where, exam))
    own = lines["PSNR of never-seen texels, completed, dB"]
    assert (
        own.value == pytest.approx(-20 * np.log10(0.025), 1e-3) and not own.has_limit and own.n == len(YAWS)
    )
    assert lines[f"PSNR of one-sided marks texels, {GUESSES['telea']}, dB"].value == pytest.approx(
        own.value - SIX
    )
    turned = lines["PSNR of hidden texels, yaw 30 to 45, completed, dB"]
    assert turned.n == 4 and turned.value == pytest.approx(own.value)
    assert not any("yaw 15 to 30" in name for name in lines), "no head is turned so"


def test_a_line_leaves_out_what_is_not_measured():
    kept = line("x", np.array([1.0, np.nan, 3.0]))
    assert (kept.value, kept.n) == (2, 2) and kept.passed
    assert line("x", np.array([np.nan])).value is None and not line("x", np.array([np.nan])).passed


@pytest.mark.parametrize("axis", [-1, -2])
def test_a_seam_is_measured_against_the_true_steps_across_it(truth, layout, weight, axis):
    pictures = (truth / 2 + 0.5).movedim(1, -1).numpy()
    seen = weight[:, 0].numpy() > 0
    if axis == -2:
        pictures, seen = pictures.swapaxes(1, 2), seen.swapaxes(1, 2)
    mean = np.where(seen[..., None], pictures, 0)
    exact = seam_bar(pictures, mean, pictures, seen, layout)
    assert exact.value == pytest.approx(1) and exact.passed and exact.control > 2
    pasted = seam_bar(mean, mean, pictures, seen, layout)
    assert pasted.value == pytest.approx(exact.control) and not pasted.passed
    elsewhere = np.where(np.roll(seen, 3, axis)[..., None], pictures, 0)
    elsewhere = np.where(seen[..., None], pictures, elsewhere)
    elsewhere[:, :2] = 0  # outside of the layout
    moved = seam_bar(elsewhere, mean, pictures, seen, layout)
    assert moved.value == pytest.approx(1), "steps that are not at the border are none of its business"


def test_heads_without_a_border_do_not_count_for_the_seam(truth, layout, weight):
    pictures = (truth / 2 + 0.5).movedim(1, -1).numpy()
    seen = weight[:, 0].numpy() > 0
    seen[:2] = True
    assert seam_bar(pictures, pictures, pictures, seen, layout).n == len(YAWS) - 2


def test_another_subjects_texels_cost_what_they_cost(truth, where):
    bar = wrong_subject_bar(truth + 0.05, truth + 0.1, where)
    assert bar.value == pytest.approx(SIX, 1e-3) and bar.passed and bar.control == 0
    assert not wrong_subject_bar(truth + 0.05, truth + 0.05, where).passed


def test_seen_texels_are_compared_bit_for_bit(truth, weight):
    seen = weight[:, 0].numpy() > 0
    half = torch.where(weight > 0, weight, 0.3)
    read = Read(known=truth, weight=half, meshes=[], cameras=[])
    pictures = texture._pictures(truth).copy()
    whole = texture.kept_bar(pictures, read, seen)
    assert (whole.value, whole.control) == (1, 1) and whole.passed
    pictures[:, :, 0] = np.nextafter(pictures[:, :, 0], 2)
    pictures[:, :, SEEN : SEEN + 10] += 0.1
    less = texture.kept_bar(pictures, read, seen)
    assert less.value == pytest.approx(1 - 1 / SEEN) and not less.passed
    assert less.control == pytest.approx(1 - 10 / (SIZE - SEEN))


def test_detail_is_relative_to_the_true_one(made, truth, where):
    smooth = made | {MODEL: truth * 0.5, "pca": torch.zeros_like(truth)}
    own, pca = detail_lines(smooth, where)
    assert own.value == pytest.approx(0.5, 1e-3) and pca.value == 0
    assert "completed" in own.name and GUESSES["pca"] in pca.name
    rough = truth.clone()
    rough[..., :SEEN] *= 9
    assert detail_lines(made | {MODEL: rough}, where)[0].value == pytest.approx(1), "of hidden texels alone"
    nowhere = dataclasses.replace(
        where, inside=where.inside | {"unseen": torch.zeros_like(where.inside["unseen"])}
    )
    assert detail_lines(made, nowhere)[0].value is None


def test_symmetry_is_relative_to_the_true_one(truth, where, layout):
    assert symmetry_line(truth, where, layout).value == pytest.approx(1)
    halved = (truth + layout.mirrored(truth)) / 2
    assert symmetry_line(halved, where, layout).value == pytest.approx(0, abs=1e-4)
    assert symmetry_line(truth * 0.5, where, layout).value == pytest.approx(0.5, 1e-3)
