"""New people who wear a look."""

from __future__ import annotations

import numpy as np
import pytest

from faces.makeup import BARE, MakeupLook
from pipelines.makeup.injection import draw_wearing
from tests.pipelines.components import generators, toy_people, toy_pipeline, toy_unet
from tests.pipelines.makeup_components import toy_makeup_components, toy_makeup_pipeline


def test_the_person_is_the_portrait_and_only_the_face_wears_the_look():
    portraits, makeup = toy_pipeline(), toy_makeup_pipeline()
    people = toy_people(portraits, 1)
    asked = {"prompt": "a man", "conditioning": people, "num_inference_steps": 2}
    plain = portraits(**asked, generator=generators(3), output_type="np").images[0]
    looks = [MakeupLook.of(lips="#c01020"), BARE]
    red, bare = (
        draw_wearing(
            portraits, makeup, look, generator=generators(3), makeup_steps=2, output_type="np", **asked
        )
        for look in looks
    )
    outside = red.masks[0] == 0
    assert outside.any() and np.allclose(red.images[0][outside], plain[outside], atol=1 / 255)
    assert not np.allclose(red.images[0], bare.images[0], atol=1e-3)


def test_frames_of_different_sizes_are_refused():
    unet = toy_unet(in_channels=12, out_channels=12, sample_size=8)
    parts = toy_makeup_components()
    small = toy_makeup_pipeline(
        unet=unet,
        adapter=type(parts["adapter"]).for_unet(
            unet, token_dim=parts["adapter"].config.token_dim, heads=2, head_dim=12
        ),
    )
    with pytest.raises(ValueError, match="32 px and makeup for 16 px"):
        draw_wearing(toy_pipeline(), small, BARE, prompt="a man")
