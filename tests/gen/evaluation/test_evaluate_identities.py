"""The bars of an identity dataset: a good one passes, every planted fault fails its own lines."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

from faces import vocabulary
from faces.provenance import Provenance
from gen import anchors
from gen.evaluation import dataset as datasets
from gen.evaluation import identities
from gen.evaluation.bars import Settings
from gen.evaluation.dataset import Dataset
from gen.evaluation.judge import Judge
from gen.evaluation.training_set import TrainingSet
from gen.plan import PLAN_FILE
from gen.record import SCHEMA, Entry
from gen.writers import WRITERS
from tests.gen.evaluation import standins

IDS, IMAGES = 30, 4
LEAKED = "identities nearer to a training person than unseen people are"


def looks(rng: np.random.Generator) -> dict:
    return {
        "expression": str(rng.choice(vocabulary.EXPRESSIONS)),
        "pose": str(rng.choice(list(vocabulary.POSES))),
        "hair_colour": str(rng.choice(vocabulary.HAIR_COLOURS)),
        "age_band": str(rng.choice(standins.BANDS)),
    }


def shown(requested: dict) -> dict:
    years = sum(vocabulary.AGE_BANDS[requested["age_band"]]) / 2
    return requested | {"yaw": vocabulary.POSES[requested["pose"]], "age_years": years}


def synthetic(fault: str = "") -> Dataset:
    """A perfect dataset, or one with a fault: twins, drift, still, deaf."""
    rng = np.random.default_rng(9)
    people = rng.uniform(-1, 1, (IDS, 64))
    if fault == "twins":
        people[IDS // 2 :] = people[: IDS // 2]
    images, rows, references = [], [], {}
    for number, person in enumerate(people):
        name = f"id{number:06d}"
        references[name] = standins.picture(person, {}, rng)
        for variant in range(IMAGES):
            requested = looks(rng)
            spread = 0 if fault == "still" else 0.1
            face = (
                rng.uniform(-1, 1, 64)
                if fault == "drift"
                else np.clip(person + rng.normal(size=64) * spread, -1, 1)
            )
            labels = shown(looks(np.random.default_rng(0)) if fault == "deaf" else requested)
            images.append(standins.picture(face, labels, rng))
            row = dict.fromkeys(SCHEMA.names) | {"id": f"{name}_{variant:05d}", "identity_id": name}
            rows.append(row | {f"requested_{axis}": value for axis, value in requested.items()})
    planned = [{axis: row[f"requested_{axis}"] for axis in identities.AXES} for row in rows]
    return Dataset(images=np.stack(images), rows=rows, references=references, planned=planned)


@pytest.fixture(scope="module")
def judge():
    return Judge(standins.StandInJudge())


@pytest.fixture(scope="module")
def heldout():
    return standins.held_out(150)


def measured(fault, judge, heldout):
    return {bar.name: bar for bar in identities.measure_dataset(synthetic(fault), judge, heldout)}


def failed(bars) -> set[str]:
    return {name for name, bar in bars.items() if not bar.passed}


def test_a_good_dataset_passes_with_controls_that_would_not(judge, heldout):
    bars = measured("", judge, heldout)
    assert failed(bars) == set()
    assert bars["uniqueness of references (kept greedily)"].value == 1
    assert bars["uniqueness of references (kept greedily)"].control == 0
    people, share = bars["uniqueness of references (kept greedily)"].domain.split("; ")[1].split(": ")
    assert people == f"{IDS} rendered people" and 0.9 < float(share) <= 1
    assert bars["consistency at FAR 0.1 %"].value == 1
    assert bars["consistency at FAR 0.1 %"].control < 0.05
    assert bars["consistency at FAR 0.1 %, ceiling of real renders"].value == 1
    assert bars["separation of identities, d'"].control < 1
    assert bars["expression obeyed"].n == IDS
    for axis in ("expression", "pose", "hair colour", "age band"):
        assert bars[f"{axis} obeyed"].value == 1
        line = bars[f"balance of {axis}: distance of what is seen from the plan"]
        assert line.value == pytest.approx(0) and line.control > line.bar


def test_twins_are_not_unique(judge, heldout):
    bars = measured("twins", judge, heldout)
    assert bars["uniqueness of references (kept greedily)"].value == 0.5
    assert bars["uniqueness of centres (no earlier identity alike)"].value == 0.5
    assert bars["consistency at FAR 0.1 %"].passed


def test_images_of_other_people_are_inconsistent(judge, heldout):
    bars = measured("drift", judge, heldout)
    assert bars["consistency at FAR 0.1 %"].value < 0.1
    assert not bars["separation of identities, d'"].passed


def test_images_that_never_change_have_no_diversity(judge, heldout):
    bars = measured("still", judge, heldout)
    assert failed(bars) == {"diversity inside an identity over that of real renders"}
    assert bars["diversity inside an identity over that of real renders"].value < 0.01


def test_ignored_requests_show_in_agreement_and_balance(judge, heldout):
    bars = measured("deaf", judge, heldout)
    assert {f"{axis} obeyed" for axis in ("expression", "pose", "hair colour", "age band")} <= failed(bars)
    assert all(not bar.passed for name, bar in bars.items() if name.startswith("balance of "))
    assert bars["consistency at FAR 0.1 %"].passed


def test_planted_training_identities_are_found(judge, heldout):
    made = synthetic()
    rng = np.random.default_rng(1)
    strangers = rng.normal(size=(500, 64))
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    training = TrainingSet(
        keys=np.array(["k"]), features=np.zeros((1, 2)), mean=np.zeros(7), basis=np.zeros((7, 2)),
        identities=np.arange(500).astype(str), centres=strangers,
    )  # fmt: skip
    clean = identities.measure_leakage(made, judge, heldout, training)
    assert clean.passed and clean.control < 0.15 and clean.n == IDS
    known = judge.measure(np.stack(list(made.references.values())[:6])).embedding
    training.centres[:6] = known
    planted = identities.measure_leakage(made, judge, heldout, training)
    assert planted.value >= 0.2 and not planted.passed


def write(made: Dataset, folder, form: str) -> None:
    """Write a dataset as the engine leaves it."""
    entries = []
    for row, image in zip(made.rows, made.images, strict=True):
        png = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        entries.append(Entry(record=dict(row), png=png))
    WRITERS[form].write(folder / "data", "train", 0, 1, entries)
    plan = folder / PLAN_FILE
    plan.parent.mkdir(parents=True)
    plan.write_text(json.dumps({"settings": {"format": form, "name": "train"}}))
    lines = [
        json.dumps({"id": row["id"], "requested": asked})
        for row, asked in zip(made.rows, made.planned, strict=True)
    ]
    (plan.parent / "rows.jsonl").write_text("\n".join(lines) + "\n")
    some = np.ones(4, np.float32)
    people = [
        anchors.Anchor(
            id=name,
            image=image,
            source=image,
            embedding=some,
            drawn=some,
            facts={"seed": 0, "source_seed": 0},
        )
        for name, image in made.references.items()
    ]
    origin = Provenance(digital_source_type="trainedAlgorithmicMedia", pipeline="test")
    # The engine's own writer, so that its format has one definition.
    anchors._save(folder / anchors.FOLDER / "00000.safetensors", people, lambda name, seed: origin)


@pytest.mark.parametrize("form", ["webdataset", "folder", "parquet"])
def test_every_format_is_read_back(tmp_path, form):
    whole = synthetic()
    made = dataclasses.replace(whole, images=whole.images[:8], rows=whole.rows[:8], planned=whole.planned[:8])
    write(made, tmp_path, form)
    read = datasets.load(tmp_path)
    assert (read.images == made.images).all()
    assert read.identities.tolist() == made.identities.tolist()
    assert read.planned == made.planned
    assert read.rows[3]["requested_pose"] == made.rows[3]["requested_pose"]
    assert all((read.references[name] == image).all() for name, image in made.references.items())


def test_a_folder_without_a_dataset_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no plan/plan.json; make one with `mien generate RECIPE"):
        datasets.load(tmp_path)
    write(dataclasses.replace(synthetic(), images=[], rows=[], planned=[]), tmp_path / "empty", "webdataset")
    with pytest.raises(ValueError, match="empty: holds no image"):
        datasets.load(tmp_path / "empty")


def test_measure_reads_the_dataset_of_the_settings(tmp_path, monkeypatch, heldout):
    write(synthetic(), tmp_path / "set", "parquet")
    standins.write(heldout, tmp_path / "heads")
    (tmp_path / "model").mkdir()

    def absent():
        raise FileNotFoundError("training.npz is absent")

    monkeypatch.setattr(Judge, "bundled", lambda device: Judge(standins.StandInJudge(), device))
    monkeypatch.setattr(TrainingSet, "bundled", absent)
    settings = Settings(
        model=str(tmp_path / "model"), data=tmp_path / "heads", dataset=tmp_path / "set", device="cpu"
    )
    bars = {bar.name: bar for bar in identities.measure(settings)}
    assert failed(bars) == {LEAKED}
    assert bars[LEAKED].domain == "not measured: training.npz is absent"
