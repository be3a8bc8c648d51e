"""The texture pipeline at toy size: what every pipeline owes diffusers, and what it promises of seen texels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from diffusers import DDIMScheduler, EulerDiscreteScheduler, UNet2DModel

from faces import provenance
from faces.analysis import NoFaceFound
from pipelines.texture.conditioning import KNOWN
from pipelines.texture.inputs import HeadMesh
from pipelines.texture.layout import LayoutMismatch
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.provenance import BAND, TexelOrigin, kept_share
from pipelines.texture.styles import STYLES, stylise
from pipelines.texture.template import HeadTemplate
from pipelines.texture.unwrapping import texel_normals
from tests.pipelines.components import generators
from tests.pipelines.texture_components import (
    SIZE,
    toy_photo,
    toy_texture_components,
    toy_texture_pipeline,
    toy_texture_unet,
)
from tests.pipelines.texture_ellipsoid import smooth_texture

TEXTURE = np.rint(smooth_texture(SIZE, 3) * 255).astype(np.uint8)
LEFT = np.zeros((SIZE, SIZE), np.float32)
"""The left part is seen, and a column beyond it barely."""
LEFT[:, :20], LEFT[:, 20] = 1, 0.3


@pytest.fixture
def pipe():
    return toy_texture_pipeline()


def made(pipe, seeds=(0,), **options):
    known = {"texture": TEXTURE, "visibility": LEFT} if "image" not in options else {}
    defaults = {"num_inference_steps": 3, "output_type": "np", "generator": generators(*seeds), **known}
    return pipe(**defaults | options)


def test_save_and_load_draw_the_same_texture(pipe, tmp_path):
    expected = made(pipe).texture
    pipe.save_pretrained(tmp_path)
    loaded = TexturePipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert loaded.layout.mesh_id == "toy-ellipsoid" and loaded.layout.size == SIZE
    # Loaded weights lie elsewhere in memory, and some processors round otherwise there.
    assert np.allclose(made(loaded).texture[0], expected[0], atol=1e-5)


def test_a_batch_draws_what_single_calls_draw(pipe):
    other = np.rint(smooth_texture(SIZE, 5) * 255).astype(np.uint8)
    several = made(
        pipe, (0, 1), texture=[TEXTURE, other], visibility=[LEFT, LEFT[:, ::-1]], num_inference_steps=4
    )
    for row, (texture, weight) in enumerate(((TEXTURE, LEFT), (other, LEFT[:, ::-1]))):
        single = made(pipe, (row,), texture=texture, visibility=weight, num_inference_steps=4)
        assert np.allclose(several.texture[row], single.texture[0], atol=1e-4)
        assert np.array_equal(several.provenance[row], single.provenance[0])


def test_several_textures_of_an_input_differ_where_it_is_not_seen(pipe):
    output = made(pipe, (0, 1), num_images_per_prompt=2)
    assert len(output.texture) == len(output.mesh) == len(output.partial) == 2
    one, other = output.texture
    assert np.array_equal(one[:, :19], other[:, :19]) and np.abs(one - other)[:, 21:].max() > 0.003


def test_output_types_and_tuples_agree(pipe):
    array = made(pipe).texture[0]
    assert array.shape == (SIZE, SIZE, 3) and array.dtype == np.float32
    assert np.allclose(np.asarray(made(pipe, output_type="pil").texture[0]) / 255, array, atol=1 / 255)
    assert torch.equal(made(pipe, output_type="pt").texture[0], torch.from_numpy(array).movedim(-1, 0))
    texture, origins, partial, weight, mesh = made(pipe, return_dict=False)
    assert np.array_equal(texture[0], array) and origins[0].dtype == np.uint8
    assert not partial[0][weight[0] == 0].any() and mesh[0].mesh_id == "toy-ellipsoid"


@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, DDIMScheduler])
def test_schedulers_are_swapped(pipe, kind):
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    assert np.isfinite(made(pipe, strength=0.7).texture[0]).all()


def base_of(pipe, output):
    """What the manifold makes of the known texels of a result, (SIZE, SIZE, 3) in [-1, 1]."""
    known = torch.from_numpy(output.partial[0]).movedim(-1, 0)[None] * 2 - 1
    weight = torch.from_numpy(output.visibility[0])[None, None]
    return pipe.base(known, weight)[0].movedim(0, -1).numpy()


def test_nothing_known_draws_heads_that_differ(pipe):
    nothing = np.zeros((SIZE, SIZE), np.float32)
    drawn = [made(pipe, (seed,), texture=TEXTURE, visibility=nothing) for seed in (0, 0, 1)]
    first, again, other = (one.texture[0] for one in drawn)
    assert np.array_equal(first, again) and np.abs(first - other)[pipe.layout.valid].mean() > 0.02
    assert not drawn[0].provenance[0].any()
    known, weight = torch.zeros(2, 3, SIZE, SIZE), torch.zeros(2, 1, SIZE, SIZE)
    weight[1] = 1
    bases = pipe.base(known, weight, torch.Generator().manual_seed(3))
    assert torch.allclose(bases[1], pipe.base(known[1:], weight[1:])[0])
    assert not torch.allclose(bases[0], pipe.mean_texture(), atol=0.05)


def test_light_is_taken_off_a_photograph_of_known_shading(pipe, monkeypatch):
    monkeypatch.setattr(TexturePipeline, "_answer", lambda self, noisy, t, given: torch.zeros_like(noisy))
    mesh = HeadMesh.of(pipe.template)
    normals = texel_normals(mesh.vertices, pipe.template, SIZE)
    shading = 0.8 + 0.35 * normals[..., :1] + np.array([0.04, 0, -0.04], np.float32) * normals[..., 1:2]
    weight = pipe.layout.valid.astype(np.float32)
    shaded = (smooth_texture(SIZE, 2) * shading).clip(0, 1)
    lit, bare = (made(pipe, texture=shaded, visibility=weight, delight=on).texture[0] for on in (False, True))
    # Nothing tells dim light from dark skin, so the brightness is compared apart.
    truth, valid = smooth_texture(SIZE, 2), pipe.layout.valid
    errors = []
    for texture in (lit, bare):
        levelled = texture * (truth[valid].mean() / texture[valid].mean())
        errors.append(np.abs(levelled - truth)[valid].mean())
    assert errors[1] < 0.5 * errors[0]


def test_a_style_is_drawn_over_the_finished_texture(pipe):
    plain = np.asarray(made(pipe, output_type="pil").texture[0])
    for style in STYLES:
        drawn = np.asarray(made(pipe, output_type="pil", style=style).texture[0])
        assert np.array_equal(drawn, stylise(plain, style, 0))
    with pytest.raises(ValueError, match="style 'oil'"):
        made(pipe, style="oil")


def test_callbacks_see_both_loops_and_interrupt(pipe):
    seen = []

    def watch(pipe, step, t, tensors):
        seen.append((step, int(t)))
        return {"latents": tensors["latents"]}

    made(pipe, callback_on_step_end=watch, num_inference_steps=4, strength=0.5)
    assert [step for step, _ in seen] == [0, 1, 2, 3, 4, 5] and pipe.num_timesteps == 6
    times = [t for _, t in seen]
    assert times[4:] == times[2:4], "a strength of a half takes the second half of the steps"

    def stop(pipe, step, t, tensors):
        seen.append(step)
        pipe._interrupt = True
        return {"latents": torch.zeros_like(tensors["latents"])}

    seen.clear()
    output = made(pipe, callback_on_step_end=stop, use_manifold=False, strength=0)
    unseen = (output.provenance[0] != TexelOrigin.SEEN) & pipe.layout.valid
    expected = (base_of(pipe, output) / 2 + 0.5).clip(0, 1)
    assert seen == [0] and np.allclose(output.texture[0][unseen], expected[unseen], atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(pipe, dtype):
    assert pipe.to(dtype).unet.dtype == dtype
    output = made(pipe)
    assert output.texture[0].dtype == np.float32 and np.isfinite(output.texture[0]).all()
    assert np.isfinite(made(pipe, repaint=True).texture[0]).all()


def test_what_is_called_is_offloaded_and_nothing_else(pipe):
    modules = {name for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    assert modules == {*pipe.model_cpu_offload_seq.split("->"), *pipe._exclude_from_cpu_offload}


def test_keep_leaves_seen_texels_bit_for_bit(pipe):
    seen = (LEFT >= 0.5) & pipe.layout.valid
    picture = np.asarray(made(pipe, output_type="pil").texture[0])
    assert np.array_equal(picture[seen], TEXTURE[seen])
    floats = smooth_texture(SIZE, 4)
    output = made(pipe, texture=floats)
    assert np.array_equal(output.texture[0][seen], floats[seen])
    hidden = (LEFT == 0) & pipe.layout.valid
    assert np.abs(output.texture[0] - floats)[hidden].mean() > 0.01
    lower = made(pipe, texture=floats, threshold=0.3).texture[0]
    column = pipe.layout.valid[:, 20]
    assert np.array_equal(lower[column, 20], floats[column, 20])


def test_blend_mixes_a_band_of_three_texels(pipe):
    picture = np.asarray(made(pipe, mode="blend", output_type="pil").texture[0])
    rows = pipe.layout.valid.all(axis=1)
    changed = (picture != TEXTURE).any(axis=2)[rows]
    assert not changed[:, : 20 - BAND].any() and changed[:, 20 - BAND : 20].mean() > 0.5 and BAND == 3
    # The nearer to what is not seen, the more of what was generated.
    share = kept_share(made(pipe).provenance[0], pipe.layout, "blend")[rows]
    assert np.allclose(share[:, 15:22], [1, 1, 0.75, 0.5, 0.25, 0, 0])
    assert (kept_share(np.full_like(LEFT, TexelOrigin.SEEN), pipe.layout, "blend") == 1).all()


def test_provenance_tells_seen_mirrored_and_generated(pipe):
    origins = made(pipe).provenance[0]
    rows = pipe.layout.valid.all(axis=1)
    assert rows.sum() > SIZE // 2
    # The layout is its own mirror image: columns 0 to 19 are seen, those from 12 on have a twin among them.
    assert (origins[rows][:, :20] == TexelOrigin.SEEN).all()
    assert (origins[rows][:, 21:] == TexelOrigin.MIRRORED).all()
    assert not origins[~pipe.layout.valid].any()
    right = np.zeros_like(LEFT)
    right[:, 24:] = 1
    origins = made(pipe, visibility=right).provenance[0][rows]
    assert (origins[:, 25:] == TexelOrigin.SEEN).all()
    assert (origins[:, :7] == TexelOrigin.MIRRORED).all()
    assert (origins[:, 9:23] == TexelOrigin.GENERATED).all()


def test_texels_outside_repeat_the_nearest_inside(pipe):
    texture = made(pipe).texture[0]
    outside = np.flatnonzero(~pipe.layout.valid.all(axis=1))
    assert 0 in outside
    first = np.flatnonzero(pipe.layout.valid.any(axis=1))[0]
    assert np.array_equal(texture[0], texture[first])


def test_a_photograph_gives_texture_and_mesh(pipe):
    output = made(pipe, image=toy_photo(0), insides=())
    mesh, weight = output.mesh[0], output.visibility[0]
    assert mesh.vertices.shape == pipe.template.mean.shape and mesh.fit.residual < 0.02
    well = weight > 0.8
    assert well.mean() > 0.05
    assert np.abs(output.texture[0] - smooth_texture(SIZE))[well].mean() < 0.03
    # From the front only the eye that is not read has a twin that is seen.
    assert 0 < (output.provenance[0] == TexelOrigin.MIRRORED).sum() < 20
    turned = made(pipe, (0, 1), image=[toy_photo(0), toy_photo(40)], insides=())
    assert np.allclose(turned.texture[0], output.texture[0], atol=1e-4)
    assert (turned.provenance[1] == TexelOrigin.MIRRORED).sum() > 20


def test_the_insides_of_eyes_are_read_when_asked(pipe):
    weights = [made(pipe, image=toy_photo(0), insides=inside).visibility[0] for inside in ((), ("eyes",))]
    more = weights[1] > weights[0]
    assert more.any() and (weights[1] >= weights[0]).all()
    with pytest.raises(ValueError, match="insides"):
        made(pipe, image=toy_photo(0), insides=("ears",))


def test_a_photograph_without_a_face_is_named(pipe):
    with pytest.raises(NoFaceFound, match="no face"):
        made(pipe, image=np.full((64, 64, 3), 9, np.uint8))


def test_the_manifold_moves_generated_texels_to_what_is_known(pipe):
    known = pipe.manifold.decode(torch.tensor([[1.0, -1, 0.5, 1, 0, -1]]), SIZE)
    weight = torch.from_numpy(LEFT)[None, None]
    start = pipe.manifold.mean_texture(SIZE)[None] + torch.randn(1, 3, SIZE, SIZE) * 0.01
    moved = pipe.project(start, known, weight)
    hidden = torch.from_numpy((LEFT == 0) & pipe.layout.valid)
    errors = [(each - known)[..., hidden].abs().mean() for each in (start, moved)]
    assert errors[1] < 0.5 * errors[0]
    still = pipe.project(known, known, torch.ones_like(weight))
    assert (still - known).abs().mean() < 0.02
    assert not np.array_equal(made(pipe).texture[0], made(pipe, use_manifold=False).texture[0])


def test_refining_starts_from_the_texture(pipe):
    mean = pipe.mean_texture()[None]
    everything = torch.ones(1, 1, SIZE, SIZE)
    shown = pipe.show(mean, everything, everything > 0)
    refined = pipe.refine(mean + 0.0, shown, strength=0.4, num_inference_steps=5, generator=generators(0))
    assert torch.allclose(refined, mean, atol=1e-5), "all texels are pinned"
    assert pipe.refine(mean, shown, strength=0.05, num_inference_steps=5) is mean
    free = pipe.show(mean, everything * 0, everything < 0)
    results = [
        pipe.refine(start, free, strength=0.2, num_inference_steps=5, generator=generators(0))
        for start in (mean, mean + 0.2)
    ]
    assert not torch.allclose(*results, atol=1e-3)


def test_repaint_shows_the_denoiser_nothing_and_keeps_what_is_seen(pipe, monkeypatch):
    shown = []
    forward = UNet2DModel.forward

    def watch(self, sample, *arguments, **options):
        shown.append(sample[:, 12:][:, KNOWN].abs().max())
        return forward(self, sample, *arguments, **options)

    monkeypatch.setattr(UNet2DModel, "forward", watch)
    output = made(pipe, repaint=True, num_inference_steps=8, strength=0.25)
    assert max(shown) == 0
    # Steps 7 to 0, two stretches of 5 walked three times (from 0 on), and two of the refinement.
    assert len(shown) == 8 + 2 * 5 + 2
    seen = (LEFT >= 0.5) & pipe.layout.valid
    assert np.array_equal(np.rint(output.texture[0] * 255)[seen], TEXTURE[seen])
    shown.clear()
    assert not np.array_equal(made(pipe).texture[0], output.texture[0]) and min(shown) > 0


@pytest.mark.parametrize("repaint", [False, True])
def test_both_loops_end_at_what_the_denoiser_answers(pipe, monkeypatch, repaint):
    answer = torch.full((1, 12, SIZE // 2, SIZE // 2), 0.1)
    monkeypatch.setattr(TexturePipeline, "_answer", lambda self, noisy, t, given: answer)
    output = made(pipe, repaint=repaint, use_manifold=False, strength=0, num_inference_steps=8)
    expected = ((base_of(pipe, output) + 0.1 * pipe.manifold.unit) / 2 + 0.5).clip(0, 1)
    unseen = (output.provenance[0] != TexelOrigin.SEEN) & pipe.layout.valid
    assert np.allclose(output.texture[0][unseen], expected[unseen], atol=1e-3)


def test_another_layout_is_refused(pipe):
    components = toy_texture_components()
    other = HeadTemplate.from_config(dict(components["template"].config) | {"mesh_id": "other-head"})
    other.load_state_dict(components["template"].state_dict())
    with pytest.raises(LayoutMismatch, match="mesh_id is 'other-head'"):
        made(pipe, layout=other.layout(SIZE))
    with pytest.raises(LayoutMismatch, match="size is 16"):
        made(pipe, layout=components["template"].layout(16))
    made(pipe, layout=components["template"].layout(SIZE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": toy_photo(0), "texture": TEXTURE}, "expected one of both"),
        ({"texture": None}, "expected one of both"),
        ({"image": []}, "empty list"),
        ({"visibility": None}, "visibility: missing"),
        ({"visibility": [LEFT, LEFT]}, "2 for 1 textures"),
        ({"visibility": LEFT[:16]}, r"visibility \(16, 32\)"),
        ({"visibility": LEFT * 2}, "visibility: expected finite"),
        ({"texture": TEXTURE[:16]}, r"texture \(16, 32, 3\)"),
        ({"texture": np.full((SIZE, SIZE, 3), np.nan)}, "texture: expected finite"),
        ({"texture": TEXTURE.astype(np.int64)}, "expected uint8, or floats"),
        ({"mode": "mix"}, "expected keep or blend"),
        ({"threshold": 0}, "threshold 0"),
        ({"strength": 1.5}, "strength 1.5"),
        ({"num_images_per_prompt": 0}, "1 at least"),
        ({"output_type": "latent"}, "expected pil, np or pt"),
        ({"output_type": "jpeg"}, "expected pil"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "permitted are"),
        ({"latents": torch.zeros(1, 3, 4, 4)}, "latents"),
        ({"generator": generators(0, 1)}, "generator"),
    ],
)
def test_wrong_arguments_are_named(pipe, options, message):
    with pytest.raises(ValueError, match=message):
        made(pipe, **options)


def test_denoisers_and_schedulers_that_do_not_fit_are_refused(pipe):
    with pytest.raises(ValueError, match="from 12 to 12 channels"):
        toy_texture_pipeline(unet=toy_texture_unet(12))
    pipe.scheduler = DDIMScheduler()
    with pytest.raises(ValueError, match="prediction_type 'epsilon'"):
        made(pipe)


def test_unknown_texels_may_hold_anything(pipe):
    texture = TEXTURE.astype(np.float32) / 255
    expected = made(pipe, texture=texture).texture[0]
    texture[LEFT == 0] = np.nan
    assert np.array_equal(made(pipe, texture=texture).texture[0], expected)


@pytest.mark.parametrize("output_type", ["pil", "np", "pt"])
def test_files_hold_head_texture_and_record(pipe, tmp_path, output_type):
    output = made(pipe, output_type=output_type)
    glb = trimesh.load(pipe.export_glb(tmp_path / "head.glb", output), process=False)
    (mesh,) = glb.geometry.values()
    assert np.allclose(mesh.vertices, output.mesh[0].vertices * 0.1, atol=1e-5)
    assert len(mesh.faces) == len(output.mesh[0].triangles)
    inside = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB"))
    seen = output.provenance[0] == TexelOrigin.SEEN
    assert np.array_equal(inside[seen], TEXTURE[seen])
    obj = trimesh.load(pipe.export_obj(tmp_path / "head.obj", output), process=False)
    assert len(obj.faces) == len(output.mesh[0].triangles)
    record = provenance.read(pipe.export_png(tmp_path / "skin.png", output))
    assert record.pipeline == "TexturePipeline" and record.model_sha256 == pipe.weights_sha256()


def test_a_head_is_drawn_from_any_side(pipe):
    views = pipe.turntable(made(pipe), yaws=(-30, 0, 30), size=48)
    assert views.shape == (3, 48, 48, 3) and len(np.unique(views[1].reshape(-1, 3), axis=0)) > 50
