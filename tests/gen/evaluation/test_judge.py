"""The judge: measuring, and its independence of the generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from faces import vocabulary
from faces.networks import JudgeNet
from gen.evaluation import testdata
from gen.evaluation.judge import Judge, JudgeIsNotIndependent, require_independent, require_independent_files
from gen.evaluation.training_set import TrainingSet
from tests.gen.evaluation import standins


@pytest.fixture(scope="module")
def heldout():
    return standins.held_out(30)


def test_measurements_are_the_labels(heldout):
    seen = Judge(standins.StandInJudge()).measure(heldout.images)
    assert len(seen) == 90
    assert seen.expression.tolist() == [row["expression"] for row in heldout.labels]
    assert seen.hair_colour.tolist() == [row["hair_colour"] for row in heldout.labels]
    assert seen.pose[:, 0] == pytest.approx([row["yaw"] for row in heldout.labels], abs=0.3)
    assert np.linalg.norm(seen.embedding, axis=1) == pytest.approx(np.ones(90))
    some = seen[np.array([4, 2])]
    assert some.expression.tolist() == [seen.expression[4], seen.expression[2]]


def test_other_sizes_are_resized(heldout):
    judge = Judge(standins.StandInJudge())
    large = heldout.images[:3].repeat(2, axis=1).repeat(2, axis=2)
    assert judge.measure(large).embedding == pytest.approx(
        judge.measure(heldout.images[:3]).embedding, abs=1e-5
    )


def test_bad_images_are_named():
    judge = Judge(standins.StandInJudge())
    with pytest.raises(ValueError, match=r"float64 \(1, 8, 8, 3\), not uint8"):
        judge.measure(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match="no image"):
        judge.measure(np.zeros((0, 8, 8, 3), np.uint8))


def test_a_copy_of_the_judge_is_found_in_any_precision_under_any_name():
    judge = standins.StandInJudge()
    apart = torch.nn.Linear(10, 10)
    require_independent(judge, {"unet": apart, "scheduler": object(), "text": None})
    for precision in (torch.float32, torch.float16):
        thief = torch.nn.Linear(10, 10).to(precision)
        thief.weight.data = judge.weight.data.to(precision)
        with pytest.raises(JudgeIsNotIndependent, match="image_encoder: holds 1 weights"):
            require_independent(judge, {"unet": apart, "image_encoder": thief})


def test_files_of_a_model_are_searched(tmp_path):
    judge = standins.StandInJudge()
    (tmp_path / "unet").mkdir()
    save_file({"weight": torch.randn(10, 10)}, tmp_path / "unet" / "model.safetensors")
    require_independent_files(judge, tmp_path)
    save_file({"renamed": judge.weight.detach().half()}, tmp_path / "unet" / "copy.safetensors")
    with pytest.raises(JudgeIsNotIndependent, match="unet/copy.safetensors: holds 1 weights"):
        require_independent_files(judge, tmp_path)


def test_constant_and_tiny_tensors_do_not_count():
    judge = torch.nn.Sequential(torch.nn.BatchNorm1d(100), torch.nn.Linear(3, 3))
    require_independent(judge, {"unet": torch.nn.Sequential(torch.nn.BatchNorm1d(100))})


def test_the_reader_favours_no_side():
    torch.manual_seed(0)
    judge = Judge(JudgeNet(widths=(4, 8, 8, 8), embedding=8, reader=(8, 8, 8, 8)))
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3)).astype(np.uint8)
    mirror_images = np.ascontiguousarray(images[:, :, ::-1])
    seen, mirrored = judge.measure(images, read=True), judge.measure(mirror_images, read=True)
    np.testing.assert_allclose(vocabulary.flip_units(mirrored.units), seen.units, atol=1e-5)
    np.testing.assert_allclose(mirrored.shown, seen.shown, atol=1e-5)
    np.testing.assert_allclose(seen.shown.sum(axis=1), 1, atol=1e-5)
    assert seen[:2].units.shape == (2, len(vocabulary.UNIT_COLUMNS))
    hurried = judge.measure(images)
    assert hurried.units is None and hurried.shown is None
    np.testing.assert_array_equal(hurried.embedding, seen.embedding)


def test_a_judge_without_a_reader_measures_the_rest():
    judge = Judge(JudgeNet(widths=(4, 8, 8, 8), embedding=8))
    seen = judge.measure(np.zeros((2, 128, 128, 3), np.uint8), read=True)
    assert seen.units is None and seen.shown is None and seen[:1].units is None
    with pytest.raises(ValueError, match="no reader"):
        judge.network.read(torch.zeros(1, 3, 128, 128))


def test_the_judge_of_the_clone_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Judge.bundled().network.reader is not None
    assert len(TrainingSet.bundled().identities) > 0


def test_without_a_clone_the_working_directory_is_searched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(testdata.gen, "__file__", str(tmp_path / "wheel" / "gen" / "__init__.py"))
    for load in (Judge.bundled, TrainingSet.bundled):
        with pytest.raises(
            FileNotFoundError, match="tests/data/judge and tests/data/judge: clone the whole repository"
        ):
            load()
    JudgeNet(widths=(4, 8, 8, 8), embedding=8).save("tests/data/judge")
    assert Judge.bundled().network.config["embedding"] == 8
    with pytest.raises(FileNotFoundError, match="training.npz is absent"):
        TrainingSet.bundled()
