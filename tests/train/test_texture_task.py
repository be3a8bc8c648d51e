"""Training of the texture model on made-up textures of an ellipsoid: masks, loss, what is measured and exported."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from faces.head.dataset import _write_parquet
from pipelines.pixels import fold
from pipelines.texture.conditioning import CONDITION_CHANNELS, KNOWN, MIRRORED, TEXTURE_CHANNELS
from pipelines.texture.guesses import SEEN
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.template import HeadTemplate
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture
from tests.train.heads import one_loss, reached
from train import recipes
from train.data.textures import Textures, Views, insides, lit, misread
from train.draws import Draws
from train.overrides import ConfigError
from train.tasks import make_task
from train.tasks.texture import TextureConfig, TextureTask

SIZE, COUNT = 32, 12


def head_template():
    """The ellipsoid as a `HeadTemplate`."""
    toy = ellipsoid()
    template = HeadTemplate(
        len(toy.mean), len(toy.triangles), len(toy.shape_basis), len(toy.expression_basis), "ellipsoid", SIZE
    )
    content = {
        "mean": toy.mean, "shape_basis": toy.shape_basis, "expression_basis": toy.expression_basis, "uv": toy.uv,
        "landmark_weights": toy.landmark_weights.astype(np.float32),
        "triangle_corners": toy.triangles.astype(np.int16),
        "landmark_corners": toy.landmark_vertices.astype(np.int16),
        "mirror_corners": toy.mirror_vertices.astype(np.int16),
    }  # fmt: skip
    template.load_state_dict({name: torch.from_numpy(array) for name, array in content.items()})
    return template


def write_set(folder, seed, complexion=0.8):
    folder.mkdir()
    images = np.stack([smooth_texture(SIZE, seed + number) for number in range(COUNT)])
    np.save(folder / "images.npy", (images * 255).round().astype(np.uint8))
    _write_parquet(
        folder / "labels.parquet",
        [{"skin_tone": n, "marks": [{"side": "left"}], "makeup": [], "complexion": []} for n in range(COUNT)],
    )
    np.save(folder / "skin.npy", np.ones((SIZE, SIZE), np.float32))
    (folder / "settings.json").write_text(
        json.dumps({"count": COUNT, "seed": seed, "complexion": complexion})
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("textures")
    head_template().save_pretrained(folder / "template")
    write_set(folder / "train", 0)
    write_set(folder / "dev", 100)
    return folder


def texture_task(folder, **changes):
    return TextureTask(
        TextureConfig(
            textures=folder / "train",
            heldout=folder / "dev",
            template=folder / "template",
            size=SIZE,
            channels=(8, 8, 8),
            masks=6,
            components=5,
            manifold_size=16,
            **changes,
        )
    )


def test_textures_are_read_with_their_labels(folder, tmp_path):
    data = Textures(folder / "train")
    assert len(data) == COUNT and data.size == SIZE and data.settings["seed"] == 0
    assert data.labels[3] == {"skin_tone": 3, "marks": [{"side": "left"}], "makeup": [], "complexion": []}
    assert np.array_equal(data.draw(2, np.random.default_rng(0)), data.image[2])
    with pytest.raises(FileNotFoundError, match="no textures here"):
        Textures(tmp_path)


def test_plain_skins_get_another_complexion_each_time(tmp_path):
    write_set(tmp_path / "skins", 0, complexion=0)
    data = Textures(tmp_path / "skins")
    one, again, other = (data.draw(2, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, again) and (one != other).mean() > 0.2
    changed = np.abs(one.astype(int) - data.image[2]).mean()
    assert 0.5 < changed < 40


def test_what_is_read_is_near_what_is_there():
    texture = (smooth_texture(SIZE, 1) * 255).astype(np.uint8)
    away = [
        np.abs(misread(texture, np.random.default_rng(n)).astype(int) - texture).mean() for n in range(20)
    ]
    steps = np.abs(np.diff(texture.astype(int), axis=1)).mean()
    assert 0 < np.mean(away) < steps and np.std(away) > 0


def test_light_shades_by_the_direction_of_the_surface():
    normals = np.zeros((SIZE, SIZE, 3), np.float32)
    across = np.linspace(-1, 1, SIZE, dtype=np.float32)
    normals[..., 0], normals[..., 2] = across, np.sqrt(1 - across**2)
    plain = np.full((SIZE, SIZE, 3), 128, np.uint8)
    drawn = np.stack([lit(plain, normals, np.random.default_rng(n)) for n in range(30)]).astype(float)
    along, down = drawn.mean(axis=(1, 3)), drawn.mean(axis=(2, 3))
    assert along.std(axis=1).mean() > 4 * down.std(axis=1).mean(), "columns differ, rows hardly do"
    sides = along[:, : SIZE // 2].mean(axis=1) - along[:, SIZE // 2 :].mean(axis=1)
    assert sides.max() > 10 and sides.min() < -10
    assert 90 < drawn.mean() < 170


def test_masks_show_a_part_of_the_head_and_are_made_once(folder, tmp_path, monkeypatch):
    template = head_template()
    views = Views(tmp_path, template, SIZE, count=4, seed=3)
    masks = np.array(views.masks)
    assert masks.shape == (4, SIZE, SIZE) and masks.dtype == np.uint8 and masks.max() == 255
    shares = (masks > 0).mean(axis=(1, 2))
    assert (shares > 0.1).all() and (shares < 0.6).all()
    assert len(np.unique(masks.reshape(4, -1), axis=0)) == 4
    monkeypatch.setattr("train.data.textures._random_mask", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(Views(tmp_path, template, SIZE, count=4, seed=3).masks, masks)


def test_drawn_weights_are_masks_less_insides_and_occluders(tmp_path):
    views = Views(tmp_path, head_template(), SIZE, count=1)
    whole = views.masks[0].astype(np.float32) / 255
    inside = insides(head_template(), SIZE)
    assert 0 < inside.sum() < inside.size / 4
    closed = np.where(inside, 0, whole)
    kinds = {"whole": 0, "closed": 0, "occluded": 0}
    for seed in range(400):
        weight = views.draw(np.random.default_rng(seed))
        assert ((weight == whole) | (weight == 0)).all()
        kind = "whole" if (weight == whole).all() else "closed" if (weight == closed).all() else "occluded"
        kinds[kind] += 1
    assert 130 < kinds["whole"] < 220 and 130 < kinds["closed"] < 220 and 30 < kinds["occluded"] < 110


def test_the_denoiser_trains_and_is_exported(folder, tmp_path):
    task = texture_task(folder)
    model, data = one_loss(task)
    assert len(data) == COUNT
    assert model.config.in_channels == TEXTURE_CHANNELS + CONDITION_CHANNELS
    assert {name.split(".")[0] for name in reached(model)} == {
        "conv_in", "time_embedding", "down_blocks", "mid_block", "up_blocks", "conv_norm_out", "conv_out"
    }  # fmt: skip
    task.export(model, tmp_path)
    assert next(model.parameters()).dtype == torch.float32
    pipe = TexturePipeline.from_pretrained(tmp_path)
    assert pipe.unet.config.sample_size == SIZE // 2 and pipe.layout.size == SIZE
    assert (pipe.manifold.config.component_count, pipe.manifold.config.size) == (5, 16)
    assert torch.allclose(pipe.manifold.mean_texture(SIZE), task.manifold.mean_texture(SIZE), atol=2e-3)


class Perfect(torch.nn.Module):
    """Answers with textures that it is told; remembers what it was shown."""

    def __init__(self, goal):
        super().__init__()
        self.goal = torch.nn.Parameter(goal)
        self.shown = []

    def forward(self, sample, _, return_dict):
        self.shown.append(sample[:, TEXTURE_CHANNELS:].detach())
        return (self.goal[: len(sample)],)


def shown_in_a_loss(folder, **changes):
    task = texture_task(folder, **changes)
    data = task.dataset()
    batch = torch.utils.data.default_collate(
        [task.sample(data, index, np.random.default_rng(index)) for index in range(4)]
    )
    model = Perfect(torch.zeros(4, TEXTURE_CHANNELS, SIZE // 2, SIZE // 2))
    loss, parts = task.loss(model, batch, Draws(0, range(4), 0))
    return task, batch, model.shown[0], loss, parts


def test_what_is_dropped_is_not_shown(folder):
    *_, everything, loss, _ = shown_in_a_loss(folder, drop_all=0.0, drop_mirrored=0.0)
    *_, one_sided, same, _ = shown_in_a_loss(folder, drop_all=0.0, drop_mirrored=1.0)
    *_, nothing, unweighted, parts = shown_in_a_loss(folder, drop_all=1.0, drop_mirrored=0.0)
    own, base = slice(0, MIRRORED.start), slice(KNOWN.stop, None)
    assert everything[:, MIRRORED].abs().sum() > 0
    assert torch.equal(one_sided[:, own], everything[:, own]) and not one_sided[:, MIRRORED].any()
    assert torch.equal(one_sided[:, base], everything[:, base]) and torch.equal(loss, same)
    assert not nothing[:, KNOWN].any() and torch.equal(nothing[:, base], everything[:, base])
    assert torch.allclose(unweighted.detach(), parts["error"]) and parts["hidden"] > 0


def test_hidden_texels_count_more(folder):
    for seen_weight in (0.2, 1.0):
        task, batch, _, loss, _ = shown_in_a_loss(folder, drop_all=0.0, seen_weight=seen_weight, lit=0.0)
        mirror = Draws(0, range(4), 0).bernoulli(0.5).view(-1, 1, 1, 1)
        maps = [batch[name].movedim(-1, 1) / 127.5 - 1 for name in ("texture", "read")]
        goal, known, weight = (
            torch.where(mirror, task.layout.mirrored(x), x) for x in (*maps, batch["weight"])
        )
        goal = torch.where(weight >= 0.5, known, goal)
        base = task.manifold.decode(task.manifold.fit(known, weight), SIZE)
        importance = (1 - (1 - seen_weight) * weight) * torch.from_numpy(task.layout.valid)
        missed = (goal - base).abs() / task.manifold.unit
        expected = (missed * importance).sum() / (3 * importance.sum())
        assert torch.allclose(loss.detach(), expected, rtol=1e-4)


def test_light_is_taken_off_before_the_denoiser_sees_a_texture(folder):
    task, batch, shown, *_ = shown_in_a_loss(folder, drop_all=0.0, lit=1.0)
    assert batch["lit"].all()
    known = batch["read"].movedim(-1, 1) / 127.5 - 1
    bare = task._delit(known, batch["weight"], batch["lit"])
    seen = batch["weight"] > SEEN
    assert ((bare - known).abs() * seen).sum() / seen.sum() > 0.02
    half = task._delit(known, batch["weight"], torch.tensor([True, False, True, False]))
    assert torch.allclose(half[0], bare[0], atol=1e-4) and torch.equal(half[1], known[1])
    assert shown.isfinite().all()


def test_styles_are_a_share_of_the_samples(folder):
    counts = []
    for styled in (0.0, 1.0):
        task = texture_task(folder, styled=styled)
        data = task.dataset()
        drawn = [task.sample(data, n, np.random.default_rng(n))["texture"] for n in range(COUNT)]
        counts.append(sum(np.array_equal(one, data.image[n]) for n, one in enumerate(drawn)))
    assert counts == [COUNT, 0]


def test_validation_compares_with_simple_guesses(folder, tmp_path):
    task = texture_task(folder)
    task.dataset()
    numbers = task.validate(task.build().eval(), 7, tmp_path)
    names = ("model", "mean", "fitted", "mirror", "pca")
    assert set(numbers) == {f"psnr_{n}_{r}" for n in names for r in ("unseen", "mirrored", "never")}
    assert (tmp_path / "step-00000007.png").is_file()
    assert np.isfinite(numbers["psnr_mean_unseen"]) and numbers["psnr_mean_unseen"] > 5


def test_a_denoiser_that_is_right_has_no_error_where_textures_are_hidden(folder, tmp_path, monkeypatch):
    task = texture_task(folder)
    truth = torch.from_numpy(Textures(folder / "dev").image[:].copy()).movedim(-1, 1) / 127.5 - 1
    views = Views(folder / "dev", task.template, SIZE, count=COUNT, seed=1)
    weight = torch.from_numpy(np.array(views.masks))[:, None].float() / 255
    base = task.manifold.decode(task.manifold.fit(torch.where(weight > 0, truth, 0), weight), SIZE)
    clean = fold((truth - base) / task.manifold.unit, 2)
    model = task.build().eval()
    monkeypatch.setattr(type(model), "forward", lambda self, sample, t, return_dict: (clean[: len(sample)],))
    numbers = task.validate(model, 1, tmp_path)
    assert numbers["psnr_model_unseen"] > 45 > numbers["psnr_pca_unseen"] + 10
    monkeypatch.setattr(type(model), "forward", lambda self, sample, t, return_dict: (0 * clean,))
    numbers = task.validate(model, 2, tmp_path)
    assert numbers["psnr_model_unseen"] == pytest.approx(numbers["psnr_pca_unseen"], abs=0.05)


def test_the_recipe_makes_the_task_and_other_sizes_are_refused(folder):
    config = recipes.make("texture")
    assert config.task.kind == "texture" and config.optimizer.kind == "muon" and config.batch_size == 32
    task = make_task(TextureConfig(textures=folder / "train", template=folder / "template", size=SIZE * 2))
    assert isinstance(task, TextureTask)
    with pytest.raises(ConfigError, match="task.size is 64"):
        task.dataset()
