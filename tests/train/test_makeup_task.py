"""Training of the makeup model on made-up heads: pairs, losses, what is trained and what is exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faces.makeup import MakeupLook
from pipelines.makeup.pipeline import MakeupPipeline
from tests.train.heads import one_loss, reached, write_shards
from train.data.makeup import MakeupPairs
from train.draws import Draws
from train.tasks.makeup import MakeupConfig, MakeupTask
from train.tasks.makeup_scores import found_share, left_share, told_share

TINY = {
    "channels": (16, 16, 16), "token_dim": 16, "encoder_layers": 2, "encoder_stem": (8, 8), "encoder_size": 64,
    "code_dim": 8, "lengths": (4, 8),
}  # fmt: skip


@pytest.fixture(scope="module")
def worn(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("worn"), makeup=True)


def task(worn, **changes):
    return MakeupTask(MakeupConfig(shards=worn, heldout=worn, **TINY | changes))


def test_pairs_are_the_same_face_and_another_wearer(worn):
    pairs = MakeupPairs(worn)
    rng = np.random.default_rng(0)
    person = pairs.heads.identity
    for index in range(len(pairs)):
        source, reference = pairs.source(index, rng, 0.5), pairs.reference(index, rng)
        assert person[source] == person[index] and source != index
        assert person[reference] != person[index] and pairs.style[reference] == pairs.style[index]
        assert pairs.is_bare[pairs.bare[index]] and person[pairs.bare[index]] == person[index]
    assert pairs.is_bare.sum() == 4 and not pairs.vectors[pairs.is_bare].any()
    look = MakeupLook.from_labels(pairs.heads.labels[1]["makeup"])
    assert np.allclose(pairs.vectors[1], look.vector())


def test_heads_without_shared_makeup_are_refused(shards):
    with pytest.raises(ValueError, match="--makeup shared"):
        MakeupPairs(shards)


def test_every_part_is_trained(worn):
    model, _ = one_loss(task(worn, keep_share=0.1, code_share=0.3, colours_share=0.3), count=8)
    parts = {name.split(".")[0] for name in reached(model)}
    assert parts == {
        "unet", "content_controlnet", "structure_controlnet", "image_encoder", "adapter", "makeup_encoder"
    }  # fmt: skip
    heads = {name.split(".")[1] for name in reached(model["makeup_encoder"]) if "." in name}
    assert reached(model["makeup_encoder"]) >= {"queries", "token_norm.weight"} and heads


def test_looks_come_first_and_alone(worn, tmp_path):
    first = task(worn, looks_only=True)
    model, data = one_loss(first, count=8)
    assert {name.split(".")[0] for name in reached(model)} == {"image_encoder", "makeup_encoder"}
    assert "structure" not in first.sample(data, 1, np.random.default_rng(0))
    assert set(first.validate(model.eval(), 1, tmp_path)) == {"found", "told"}
    first.export(model, tmp_path / "looks")
    second = task(worn, looks=tmp_path / "looks").build()
    for name in ("image_encoder", "makeup_encoder"):
        taken = second[name].state_dict()
        assert all(
            torch.allclose(taken[key].float(), value.float(), atol=2e-3)
            for key, value in model[name].state_dict().items()
        )


def test_training_goes_on_from_an_export_and_from_one_of_whole_pictures(worn, tmp_path):
    first = task(worn)
    first.export(first.build(), tmp_path / "export")
    again = task(worn, start=tmp_path / "export").build()["unet"].conv_out.weight
    assert again.any()
    index = tmp_path / "export" / "model_index.json"
    index.write_text(index.read_text().replace('"predicts_change": true', '"predicts_change": false'))
    assert not task(worn, start=tmp_path / "export").build()["unet"].conv_out.weight.any()


def test_dropped_looks_mean_the_face_as_it_is(worn):
    whole = task(worn, keep_share=1.0)
    data = whole.dataset()
    rows = [whole.sample(data, index, np.random.default_rng(index)) for index in (1, 3)]
    batch = torch.utils.data.default_collate(rows)
    keep = torch.tensor([True, False])
    goal, source, *_ = whole._pictures(batch, keep, Draws(0, range(2), 0))
    assert torch.equal(goal[0], source[0]) and not torch.equal(goal[1], source[1])
    assert goal.shape == (2, 3, 72, 72)


def test_windows_of_training_lie_around_faces(worn):
    some = task(worn)
    data = some.dataset()
    for index in range(len(data)):
        left, top = some.sample(data, index, np.random.default_rng(index))["corner"]
        inside = data.heads.landmarks[index] - (left, top)
        assert ((inside >= 0) & (inside < 72)).all(axis=1).mean() > 0.85


def test_codes_open_from_coarse_to_fine(worn):
    some = task(worn, coarse_steps=100)
    assert [some._opened(step) for step in (0, 50, 99)] == [4, 6, 8]
    assert {some._opened(step) for step in range(100, 120)} == {4, 8}


def test_validation_draws_a_sheet_and_the_export_is_a_pipeline(worn, tmp_path):
    some = task(worn)
    model, _ = one_loss(some, count=4)
    numbers = some.validate(model.eval(), 7, tmp_path)
    assert set(numbers) == {"left", "left_removal", "found", "told"}
    assert (tmp_path / "step-00000007.png").is_file()
    some.export(model, tmp_path / "export")
    pipe = MakeupPipeline.from_pretrained(tmp_path / "export")
    assert (pipe.frame_size, pipe.window_size) == (128, 72) and pipe.adapter.config.framing == "face"


def test_scores_of_perfect_and_of_no_work(worn):
    pairs = MakeupPairs(worn)
    before = np.zeros((2, 8, 8, 3), np.uint8)
    after = np.full_like(before, 100)
    assert left_share(before, after, after) == 0 and left_share(before, after, before) == 1
    vectors = torch.from_numpy(pairs.vectors)
    assert told_share(vectors, pairs) == 1
    codes = torch.nn.functional.normalize(
        torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), dim=1
    )
    assert found_share(codes, pairs) == 1.0  # there is one look
