"""The drag pipeline at toy size: what every pipeline owes diffusers, and what drags, pins and masks promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, UNet2DModel

from pipelines.drag.drags import Drags
from pipelines.drag.null_text import NullText
from pipelines.drag.pipeline import DragPipeline
from tests.pipelines.components import generators, toy_unet
from tests.pipelines.drag_components import SIZE, ToyAnalyzer, toy_drag_pipeline, toy_drag_unet, toy_photo

FACE, OTHER = toy_photo(0), toy_photo(1)
DRAGS = [((10, 12), (14, 12)), ((20, 20), (20, 16))]


@pytest.fixture
def pipe():
    return toy_drag_pipeline()


def edit(pipe, image=FACE, drags=DRAGS, seeds=(0,), **options):
    defaults = {
        "num_inference_steps": 2,
        "output_type": "np",
        "generator": generators(*seeds),
        "aligned": True,
    }
    return pipe(image, drags, **defaults | options)


def test_save_and_load_draw_the_same_picture(pipe, tmp_path):
    expected = edit(pipe).images
    pipe.save_pretrained(tmp_path)
    loaded = DragPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.config.drawing == "splats" and loaded.frame_size == SIZE
    # Loaded weights lie elsewhere in memory, and some processors round otherwise there.
    assert np.allclose(edit(loaded).images[0], expected[0], atol=1e-5)


def test_a_batch_draws_what_single_calls_draw(pipe):
    several = edit(pipe, [FACE, OTHER], [DRAGS, DRAGS[:1]], seeds=(0, 1))
    for row, (image, drags) in enumerate(((FACE, DRAGS), (OTHER, DRAGS[:1]))):
        single = edit(pipe, image, drags, seeds=(row,))
        assert np.allclose(several.images[row], single.images[0], atol=1e-5)
        assert np.allclose(several.residual[row], single.residual[0], atol=1e-4)


def test_output_types_and_tuples_agree(pipe):
    array = edit(pipe).images[0]
    assert np.allclose(np.asarray(edit(pipe, output_type="pil").images[0]) / 255, array, atol=1 / 255)
    assert torch.allclose(edit(pipe, output_type="pt").images[0], torch.from_numpy(array).movedim(-1, 0))
    assert edit(pipe, output_type="latent").images.shape == (1, 12, SIZE // 2, SIZE // 2)
    images, flow, residual, masks, matrices = edit(pipe, return_dict=False)
    assert np.array_equal(images[0], array) and flow.shape == (1, 2, SIZE, SIZE)
    assert len(residual) == len(masks) == 1 and matrices == [None]


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, DPMSolverMultistepScheduler])
def test_schedulers_are_swapped(pipe, kind):
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    assert np.isfinite(edit(pipe).images[0]).all()


def test_callbacks_see_and_change_latents_and_interrupt(pipe):
    seen = []

    def stop(pipe, step, t, tensors):
        seen.append(step)
        pipe._interrupt = True
        return {"latents": torch.zeros_like(tensors["latents"])}

    latents = edit(pipe, output_type="latent", callback_on_step_end=stop, num_inference_steps=3).images
    assert seen == [0] and not latents.any()


def test_half_precision_and_offload_order(pipe):
    assert pipe.to(torch.bfloat16).unet.dtype == torch.bfloat16
    assert np.isfinite(edit(pipe).images[0]).all()
    assert set(pipe.model_cpu_offload_seq.split("->")) == {"flow_generator", "null_text", "unet", "vae"}


def test_drags_decide_the_flow_and_pins_count(pipe):
    frames = torch.from_numpy(FACE).movedim(-1, 0)[None] / 127.5 - 1
    one, other, pinned = (
        pipe.predict_flow(frames, [Drags.of(drags, pins, size=(SIZE, SIZE))])
        for drags, pins in ((DRAGS, ()), (DRAGS[:1], ()), (DRAGS, [(5, 5)]))
    )
    assert one.shape == (1, 2, SIZE, SIZE)
    assert not torch.allclose(one, other) and not torch.allclose(one, pinned)


def test_residual_is_what_the_flow_lacks(pipe):
    output = edit(pipe)
    flow = output.flow[0].numpy()
    # Sources are corners of pixels here, so bilinear sampling is the mean of four.
    around = flow[:, 11:13, 9:11].mean(axis=(1, 2))
    assert output.residual[0][0] == pytest.approx(np.linalg.norm(around - (4, 0)), abs=1e-4)
    assert len(output.residual[0]) == 2


def test_a_given_flow_needs_no_drags(pipe):
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = 1.0  # of its own grid: four pixels of the frame
    output = edit(pipe, drags=(), flow=flow)
    assert torch.allclose(output.flow[:, 0], torch.full((1, SIZE, SIZE), 4.0)) and output.residual == []


def test_branches_that_count_nothing_are_not_computed(pipe, monkeypatch):
    calls = []
    forward = UNet2DModel.forward
    monkeypatch.setattr(
        UNet2DModel, "forward", lambda self, *a, **k: calls.append(1) or forward(self, *a, **k)
    )
    for scales, expected in (
        ((1.0, 1.0), 1),
        ((1.0, 2.0), 2),
        ((1.5, 1.5), 2),
        ((1.5, 2.0), 3),
        ((1.0, 0.0), 1),
    ):
        calls.clear()
        edit(pipe, image_guidance_scale=scales[0], flow_guidance_scale=scales[1])
        assert len(calls) == 2 * expected


def test_no_byte_changes_outside_the_mask(pipe):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[8:24, 8:24] = True
    output = edit(pipe, mask=mask, output_type="pil")
    picture = np.asarray(output.images[0])
    assert np.array_equal(picture[~mask], FACE[~mask]) and (picture[mask] != FACE[mask]).any()
    assert not output.masks[0][~mask].any()


def test_what_does_not_move_keeps_its_bytes(pipe):
    flow = torch.zeros(1, 2, SIZE, SIZE)
    flow[:, 0, 12:16, 12:16] = 2.0
    output = edit(pipe, drags=(), flow=flow, output_type="pil")
    still = output.masks[0] == 0
    assert 0.4 < still.mean() < 0.97
    assert np.array_equal(np.asarray(output.images[0])[still], FACE[still])
    zero = edit(pipe, drags=(), flow=torch.zeros(1, 2, SIZE, SIZE), output_type="pil")
    assert np.array_equal(np.asarray(zero.images[0]), FACE)


def test_photographs_keep_their_size_and_a_face_decides_the_frame(pipe):
    photo = toy_photo(3, 96, 160)
    output = edit(pipe, photo, [((30, 30), (42, 30))], aligned=False, output_type="pil")
    assert output.images[0].size == (160, 96) and output.masks[0].shape == (96, 160)
    assert not output.masks[0][:, 97:].any(), "the toy face fills the left square"
    with pytest.raises(ValueError, match=r"source \(150, 30\) lies outside the face's frame"):
        edit(pipe, photo, [((150, 30), (140, 30))], aligned=False)


def test_without_a_face_the_middle_square_is_edited(pipe):
    photo = np.zeros((96, 160, 3), np.uint8)
    output = edit(pipe, photo, [((80, 48), (90, 48))], aligned=False)
    assert not output.masks[0][:, :31].any() and not output.masks[0][:, 129:].any()
    assert output.masks[0].any()


def test_a_preview_moves_pixels_without_the_denoiser(pipe, monkeypatch):
    flow = torch.zeros(1, 2, SIZE, SIZE)
    flow[:, 0, 10:20, 10:20] = 3.0
    monkeypatch.setattr(DragPipeline, "predict_flow", lambda self, frames, drags: flow)
    monkeypatch.setattr(UNet2DModel, "forward", lambda *_: pytest.fail("no denoiser in a preview"))
    picture = np.asarray(pipe.preview(FACE, DRAGS, aligned=True).images[0])
    assert np.array_equal(picture[12:18, 14:22], FACE[12:18, 11:19])
    assert np.array_equal(picture[:, 28:], FACE[:, 28:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"drags": []}, "none given"),
        ({"drags": [(1, 2)]}, "odd number"),
        ({"drags": [((1, 2), (40, 2))]}, "outside the picture"),
        ({"drags": [((1, 2), (float("nan"), 2))]}, "not a finite number"),
        ({"mask": np.ones((5, 5), bool)}, "mask"),
        ({"mask": np.zeros((SIZE, SIZE), bool)}, "outside the mask"),
        ({"image": FACE[:20]}, "frames of 32 px"),
        ({"image": []}, "empty list"),
        ({"image": [FACE, OTHER], "drags": [DRAGS]}, "1 for 2 photographs"),
        ({"output_type": "jpeg"}, "expected pil, np, pt or latent"),
        ({"image_guidance_scale": -1.0}, "from 0 on"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "permitted are"),
        ({"latents": torch.zeros(1, 3, 4, 4)}, "latents"),
    ],
)
def test_wrong_arguments_are_named(pipe, options, message):
    with pytest.raises(ValueError, match=message):
        edit(pipe, **options)


def test_a_denoiser_of_flow_alone_and_one_that_attends_to_text():
    assert not toy_drag_pipeline(unet=toy_drag_unet(sees_moved=False)).sees_moved
    unet = toy_unet(in_channels=26, out_channels=12, sample_size=SIZE // 2)
    text = NullText.of(torch.randn(1, 5, unet.config.cross_attention_dim))
    pipe = toy_drag_pipeline(unet=unet, null_text=text)
    assert np.isfinite(edit(pipe).images[0]).all()
    with pytest.raises(ValueError, match="takes 12 channels, expected 26 or 39"):
        toy_drag_pipeline(unet=toy_unet(in_channels=12, out_channels=12, sample_size=SIZE // 2))


def test_no_flow_shows_the_denoiser_the_picture_itself(pipe):
    frames = torch.from_numpy(FACE).movedim(-1, 0)[None] / 127.5 - 1
    flow = torch.full((1, 2, SIZE, SIZE), 2.0)
    alone, none = (pipe.conditions(frames, flow, branch) for branch in ("image", "none"))
    assert (
        torch.allclose(alone[:, :12], alone[:, 14:26])
        and not alone[:, 12:14].any()
        and not alone[:, 26].any()
    )
    assert not none.any()
    with_flow = pipe.conditions(frames, flow, "flow")
    assert torch.allclose(with_flow[:, 12:14], torch.full((1, 2, SIZE // 2, SIZE // 2), 2 / SIZE))
    assert with_flow[:, 26, :, 0].min() == 1


def test_the_analyzer_is_asked_only_for_photographs(pipe):
    class Never(ToyAnalyzer):
        def require_face(self, image, name=None):
            raise AssertionError("frames are not looked at")

    pipe.analyzer = Never()
    edit(pipe)
