"""The bars of the portrait task: a perfect pipeline passes, every planted fault fails its own lines."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation import copying, likeness, obedience, portrait, realism
from gen.evaluation.bars import Settings
from gen.evaluation.judge import Judge, JudgeIsNotIndependent
from gen.evaluation.training_set import TrainingSet
from gen.evaluation.trials import look_trials, make_portraits, meet, state_trials
from tests.gen.evaluation import standins

HEADS = 60


@pytest.fixture(scope="module")
def heldout():
    return standins.held_out(HEADS)


@pytest.fixture(scope="module")
def judge():
    return Judge(standins.StandInJudge())


@pytest.fixture(autouse=True, scope="module")
def no_bundled_files():
    def absent():
        raise FileNotFoundError("training.npz is absent")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingSet, "bundled", absent)
        patch.setattr(portrait, "_ablation_folder", lambda: None)
        yield


def measured(fault, heldout, judge, **settings):
    bars = portrait.measure_pictures(standins.StandInPipe(fault), judge, heldout, Settings(**settings))
    return {bar.name: bar for bar in bars}


@pytest.fixture(scope="module")
def perfect(heldout, judge):
    return measured("", heldout, judge)


def test_a_perfect_pipeline_passes(perfect):
    unmeasured = {bar.name for bar in perfect.values() if bar.value is None}
    assert unmeasured == {
        "portraits nearer to a training image than unseen renders are",
        "correlation of reference and output expression",
    }
    failed = [bar for bar in perfect.values() if bar.name not in unmeasured and not bar.passed]
    assert failed == []
    assert not any(perfect[name].passed for name in unmeasured)
    assert all("not measured" in perfect[name].domain for name in unmeasured)
    for name in ("expression obeyed", "pose obeyed", "hair colour obeyed", "age band obeyed"):
        assert perfect[name].value == 1
        assert perfect[name].control < 0.6
        assert perfect[f"{name}, ceiling of real renders"].passed
    assert all(bar.n >= 2 and bar.ci95 is not None for bar in perfect.values() if bar.value is not None)


def test_identity_lines_have_known_values(perfect):
    tar = perfect["identity TAR at FAR 1 %"]
    assert (tar.value, tar.n) == (1, HEADS)
    assert tar.control <= 0.03
    assert perfect["identity TAR at FAR 1 %, ceiling of real renders"].value == 1
    assert perfect["identity TAR over shuffled references"].value == pytest.approx(
        1 / max(tar.control, 1 / HEADS / (HEADS - 1))
    )


def test_a_pipeline_that_ignores_the_reference_fails_identity_only(heldout, judge):
    bars = measured("blind", heldout, judge)
    assert not bars["identity TAR at FAR 1 %"].passed
    assert not bars["identity TAR over shuffled references"].passed
    assert bars["identity TAR at FAR 1 %, ceiling of real renders"].passed
    assert bars["expression obeyed"].passed


def test_a_pipeline_that_returns_the_reference_fails_obedience(heldout, judge):
    bars = measured("deaf", heldout, judge)
    assert bars["identity TAR at FAR 1 %"].passed
    assert bars["expression obeyed"].value == 0
    assert bars["pose obeyed"].value == 0
    assert not bars["hair colour obeyed"].passed
    assert not bars["age band obeyed"].passed


def test_a_collapsed_pipeline_has_no_recall(heldout, judge):
    bars = measured("collapsed", heldout, judge)
    assert not bars["sample recall"].passed
    assert bars["sample recall, floor of renders against renders"].passed
    assert not bars["identity TAR over shuffled references"].passed


def test_a_pipeline_that_holds_the_judge_is_refused(heldout, judge):
    with pytest.raises(JudgeIsNotIndependent, match=r"unet: holds 1 weights of the judge \(weight\)"):
        measured("leaky", heldout, judge)


def test_references_without_a_face_are_counted_and_left_out(heldout, judge):
    bars = measured("choosy", heldout, judge)
    line = bars["references in which a face is found"]
    assert 0.5 < line.value < 0.95 and line.n == HEADS and not line.passed
    assert bars["identity TAR at FAR 1 %"].n == round(line.value * HEADS)
    assert bars["identity TAR at FAR 1 %"].passed


def test_copying_is_compared_with_half_of_the_same_image_variant(heldout, judge):
    free = standins.StandInPipe()
    people = meet(free, heldout, range(HEADS), Settings())
    trials = look_trials(heldout, people)
    references = judge.measure(heldout.images[[trial.reference for trial in trials]])
    copied = copying.measure(references, references, same_image=0.8)
    assert copied.value == pytest.approx(1) and copied.bar == 0.4 and not copied.passed
    assert abs(copied.control) < 0.3
    portraits = judge.measure(make_portraits(free, people, trials, Settings(), ""))
    line = copying.measure(references, portraits, same_image=0.8)
    assert line.value == 0 and line.passed
    unknown = copying.measure(references, portraits, same_image=None)
    assert unknown.value is None and not unknown.passed and "weights/ablation" in unknown.domain


def test_the_record_of_the_same_image_variant_is_read(tmp_path, heldout, judge):
    assert copying.same_image_correlation(tmp_path, heldout, judge, Settings()) is None
    (tmp_path / copying.RECORD).write_text('{"correlation": 0.62, "n": 200}')
    assert copying.same_image_correlation(tmp_path, heldout, judge, Settings()) == 0.62


def test_planted_copies_of_training_images_are_counted(heldout, judge):
    renders = judge.measure(heldout.images)
    rng = np.random.default_rng(0)
    pool = renders.features[rng.integers(len(renders), size=300)] + rng.normal(size=(300, 7)) * 0.2
    training = TrainingSet(
        keys=np.arange(300).astype(str), features=pool, mean=np.zeros(7), basis=np.eye(7),
        identities=np.array(["t"]), centres=renders.embedding[:1],
    )  # fmt: skip
    planted = renders[np.arange(20)]
    planted.features[:10] = pool[:10] + 1e-3
    line = realism.measure_copies(heldout, renders, planted, training)
    assert line.value >= 0.5 and not line.passed
    assert line.control < 0.1


def test_quick_uses_fewer_heads(monkeypatch, heldout, judge):
    monkeypatch.setattr(portrait, "QUICK_HEADS", 20)
    monkeypatch.setattr(portrait, "QUICK_LOOKS", 10)
    bars = measured("", heldout, judge, quick=True)
    assert bars["identity TAR at FAR 1 %"].n == 20
    assert bars["hair colour obeyed"].n == 10
    assert "correlation of reference and output expression" not in bars
    assert bars["sample precision"].n == 20


def test_trials_ask_for_what_the_reference_does_not_show(heldout):
    trials = state_trials(heldout, range(HEADS))
    assert len(trials) == HEADS
    for trial in trials:
        reference, target = heldout.labels[trial.reference], heldout.labels[trial.target]
        assert reference["state"] == 0 and target["identity_id"] == reference["identity_id"]
        assert trial.request["expression"] == target["expression"] != reference["expression"]
        assert trial.request["pose"] == target["pose"] != reference["pose"]
    assert len({trial.seed for trial in trials}) == HEADS
    assert trials == state_trials(heldout, range(HEADS))


def test_look_requests_are_drawn_without_the_reference_and_leave_the_state_open(heldout):
    trials = look_trials(heldout, range(HEADS))
    changed = [t for t in trials if t.request["hair_colour"] != heldout.labels[t.reference]["hair_colour"]]
    assert 0.6 < len(changed) / len(trials) < 0.95
    assert not any("expression" in t.prompt or "smil" in t.prompt or "facing" in t.prompt for t in trials)
    bald = [t for t in trials if heldout.labels[t.reference]["hair_style"] == "bald"]
    assert bald and all(f"short {t.request['hair_colour']} hair" in t.prompt for t in bald)


def test_portraits_are_made_in_batches_with_one_seed_each(heldout):
    pipe, told = standins.StandInPipe(), []
    settings = Settings(progress=lambda *step: told.append(step))
    people = meet(pipe, heldout, range(40), Settings())
    images = make_portraits(pipe, people, state_trials(heldout, people), settings, "making")
    assert images.shape == (40, 128, 128, 3) and images.dtype == np.uint8
    assert pipe.batches == [16, 16, 8]
    assert told[0] == ("making", 0) and told[-1] == ("making", 1)


def test_bands_of_age_and_pose_are_strict(judge, heldout):
    seen = judge.measure(heldout.images[:4])
    seen.age[:] = [18, 17, 34.9, 35.1]
    seen.pose[:, 0] = [5.9, 6.1, -70, 18]
    young = np.diagonal(obedience.agreement("age_band", seen, ["young"] * 4))
    assert young.tolist() == [True, False, True, False]
    asked = ["frontal", "frontal", "left", "slightly right"]
    assert np.diagonal(obedience.agreement("pose", seen, asked)).tolist() == [True, False, True, True]


def test_off_diagonal_mean_by_hand():
    assert likeness.off_diagonal_mean(np.array([[1, 1, 0], [0, 1, 0], [0, 1, 1]])) == pytest.approx(2 / 6)
    with pytest.raises(ValueError, match="at least two heads"):
        likeness.off_diagonal_mean(np.ones((1, 1)))


def test_plots_are_written(tmp_path, heldout, judge):
    measured("", heldout, judge, plots=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bars.png", "portraits.png", "roc.png", "similarity.png",
    ]  # fmt: skip
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in tmp_path.iterdir())
