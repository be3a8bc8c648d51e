"""Windows around faces, and a makeup pipeline that draws nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.makeup.pipeline import MakeupPipeline
from pipelines.makeup.window import cut_out, face_corner, fade, put_back
from tests.pipelines.components import generators, toy_unet
from tests.pipelines.makeup_components import SIZE, ToyAnalyzer, toy_landmarks, toy_makeup_pipeline, toy_photo

SIDE = 24


@pytest.fixture
def pipe():
    unet = toy_unet(in_channels=12, out_channels=12, sample_size=SIDE // 2)
    return toy_makeup_pipeline(unet=unet, frame_size=SIZE)


def test_windows_lie_around_the_face_and_within_the_frame():
    landmarks = toy_landmarks()
    left, top = face_corner(landmarks, SIZE, SIDE)
    inside = landmarks - (left, top)
    assert ((inside >= 0) & (inside < SIDE)).all()
    assert face_corner(landmarks, SIZE, SIDE, shift=np.array([-100, 100])).tolist() == [0, SIZE - SIDE]
    assert face_corner(landmarks, SIZE, SIZE).tolist() == [0, 0]


def test_what_is_cut_out_can_be_put_back():
    frames = np.random.default_rng(0).random((2, SIZE, SIZE, 3)).astype(np.float32)
    corners = np.array([[1, 5], [8, 0]])
    windows = cut_out(torch.from_numpy(frames).movedim(-1, 1), torch.from_numpy(corners), SIDE)
    assert torch.equal(windows[0], torch.from_numpy(frames[0, 5 : 5 + SIDE, 1 : 1 + SIDE]).movedim(-1, 0))
    for frame, window, corner in zip(frames, windows.movedim(1, -1).numpy(), corners, strict=True):
        assert np.array_equal(put_back(frame, window, corner), frame)
        made = put_back(frame, 1 - window, corner)
        assert (made != frame).all(axis=-1).sum() == SIDE**2


def test_a_window_fades_at_its_edge_and_a_whole_frame_does_not():
    weight = fade(128, 72, np.array([20, 40]))
    assert weight[40, 50] == 0 and weight[39].max() == 0 and weight[76, 56] == 1
    assert (weight > 0).sum() == 70**2
    assert (fade(128, 128, np.array([0, 0])) == 1).all()


def test_no_byte_changes_outside_the_window(pipe):
    assert (pipe.frame_size, pipe.window_size) == (SIZE, SIDE)
    face = toy_photo(0)
    result = pipe(face, toy_photo(1), num_inference_steps=2, generator=generators(0), aligned=True)
    left, top = face_corner(toy_landmarks(), SIZE, SIDE)
    changed = (np.asarray(result.images[0]) != face).any(axis=-1)
    assert changed.any()
    changed[top : top + SIDE, left : left + SIDE] = False
    assert not changed.any()


def test_latents_are_as_wide_as_the_window_and_the_frame_is_saved(pipe, tmp_path):
    latents = pipe(toy_photo(0), toy_photo(1), num_inference_steps=1, output_type="latent").images
    assert latents.shape == (1, 12, SIDE // 2, SIDE // 2)
    pipe.save_pretrained(tmp_path)
    loaded = MakeupPipeline.from_pretrained(tmp_path)
    loaded.analyzer = ToyAnalyzer()
    assert (loaded.frame_size, loaded.window_size) == (SIZE, SIDE)
