"""What the tabs do, as plain functions: requests become files with records, in the folder of their visitor."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from faces import examples, policy, provenance
from faces.images import ImageError
from gen.sample import Step
from pipelines.drag import gestures
from tests.pipelines.texture_components import toy_photo
from tests.ui.toy_services import ToyServices
from ui import dataset, drag, expression, makeup, portrait, results, texture, uploads
from ui.canvas_state import CanvasState
from ui.running import Stopped
from ui.session import Session
from ui.uploads import ConsentMissing


@pytest.fixture
def session(tmp_path):
    return Session.start(tmp_path)


@pytest.fixture
def run(session):
    return session.run("anything")


@pytest.fixture
def services():
    return ToyServices()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "secret-name.png"
    Image.fromarray(toy_photo(0)).save(path)
    return str(path)


def asked_of(services, task):
    with services.pipeline(task) as pipe:
        return pipe.asked


def test_portraits_are_functions_of_their_seeds(photo, services, session, run):
    request = portrait.PortraitRequest(
        photos=(photo,), prompt="a person", consented=True, count=3, seed=5, steps=2
    )
    made = portrait.make(request, services, run)
    records = [provenance.read(one.file) for one in made]
    assert [one.seed for one in made] == [record.seed for record in records] == [5, 6, 7]
    assert all(one.file.parent == session.folder for one in made) and len(session.gallery()) == 3
    again = portrait.make(request, services, run)
    assert np.array_equal(Image.open(again[1].file), Image.open(made[1].file))
    (_, options), *_ = asked_of(services, "portrait")
    assert options["num_images_per_prompt"] == 3 and np.array_equal(options["image"][0], toy_photo(0))


def test_an_expression_is_a_preset_or_units(photo, services, session, run):
    asked = asked_of(services, "expression")
    made = expression.make(
        expression.ExpressionRequest(photo=photo, consented=True, units=(("AU12", 0.8),)), services, run
    )
    expression.make(
        expression.ExpressionRequest(photo=None, consented=False, expression="sad"), services, run
    )
    assert asked[0][1]["action_units"] == {"AU12": 0.8} and asked[0][1]["expression"] is None
    assert asked[1][1]["image"] is None and asked[1][1]["expression"] == "sad"
    assert provenance.read(made.file).extra["units"] == {"AU12": 0.8}
    assert "black hair" in asked[0][1]["prompt"] and "glasses" in asked[0][1]["prompt"]
    assert asked[1][1]["prompt"] and "glasses" not in asked[1][1]["prompt"]


@pytest.mark.parametrize("source", ["reference", "colours", "remove"])
def test_makeup_comes_from_a_photograph_from_colours_or_goes(source, photo, services, session, run):
    request = makeup.MakeupRequest(
        photo=photo, consented=True, source=source, reference=photo, colours=(("lips", "#b0203a"),)
    )
    result = makeup.make(request, services, run)
    ((_, look), _), *_ = asked_of(services, "makeup")
    kinds = {"reference": np.ndarray, "colours": type(makeup.BARE), "remove": type(makeup.BARE)}
    assert isinstance(look, kinds[source])
    assert provenance.read(result.file).digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    assert result.settings["colours"] == ({"lips": "#b0203a"} if source == "colours" else {})


def drawn(photo_side=96):
    return CanvasState.at_places([((10.5, 10.5), (20.5, 12.5))], [(5.5, 5.5)], (photo_side, photo_side))


def test_arrows_become_drags_of_the_photograph(photo, services, session, run):
    request = drag.DragRequest(photo=photo, consented=True, drawn=drawn())
    result, measured = drag.make(request, services, run)
    assert measured.missed.max() == 1.5 and measured.may_change == 1
    (_, options), *_ = asked_of(services, "drag")
    assert np.allclose(options["drags"], [[(10.5, 10.5), (20.5, 12.5)]])
    assert np.allclose(options["pins"], [(5.5, 5.5)]) and options["mask"] is None
    assert provenance.read(result.file).extra["drags"] == 1
    seen = drag.preview(request, services, run)
    assert np.array_equal(Image.open(seen.file), toy_photo(0)[:, ::-1])
    assert provenance.read(seen.file).extra["preview"] and seen.flow.shape == seen.photo.shape == (96, 96, 3)
    assert len(session.results) == 1, "a preview is no result"
    with pytest.raises(ValueError, match="64 x 64"):
        drag.make(drag.DragRequest(photo=photo, consented=True, drawn=drawn(64)), services, run)


def test_prompts_that_policy_refuses_reach_no_model(photo, services, session, run):
    for make in (
        lambda text: portrait.PortraitRequest(photos=(photo,), prompt=text, consented=True),
        lambda text: expression.ExpressionRequest(photo=photo, prompt=text, consented=True),
    ):
        with pytest.raises(policy.PromptRefused) as caught:
            make("portrait of a little child, aged 7")
        assert "aged 7" not in str(caught.value)
        make("portrait of an elderly person, smiling")


class Brief:
    """An engine that makes three batches."""

    def __init__(self):
        self.calls = []

    def generate(self, recipe, out, progress):
        self.calls.append((recipe, out))
        for done in range(1, 4):
            progress(Step(stage="images", done=done, total=3, kept=done, rejected=1))
            time.sleep(0.05)


def test_a_dataset_reports_and_stops_after_the_batch_in_hand(session, run, monkeypatch):
    import gen

    engine = Brief()
    monkeypatch.setattr(gen, "engine", engine, raising=False)
    request = dataset.DatasetRequest(kind="textures", people=2, seed=5)
    job = dataset.Job(request.recipe(), dataset.folder(request, session), run, ToyServices())
    job.start()
    steps = list(job.events())
    assert [step.done for step in steps] == [1, 2, 3]
    assert dataset.told(steps[1]) == "images: 2 of 3, 67% of the attempts accepted"
    assert engine.calls[0][0].people == 2 and engine.calls[0][1].parent == session.folder
    again = dataset.Job(request.recipe(), dataset.folder(request, session), run, ToyServices())
    assert again.out == job.out, "the same request goes on where the last one stopped"
    session.stop("anything")
    again.start()
    with pytest.raises(Stopped):
        list(again.events())


@pytest.mark.parametrize("kind", dataset.RECIPES)
def test_every_recipe_can_be_planned(kind):
    assert dataset.DatasetRequest(kind=kind, people=2).recipe().kind == kind
    with pytest.raises(ValueError, match="people 0"):
        dataset.DatasetRequest(kind=kind, people=0)


def test_a_photograph_becomes_a_head(photo, services, session, run):
    made = texture.make(texture.TextureRequest(photo=photo, consented=True, steps=2), services, run)
    assert made.glb.read_bytes()[:4] == b"glTF" and 0 < made.seen < 1
    assert Image.open(made.turntable).width == 5 * Image.open(made.turntable).height
    assert provenance.read(made.texture.file).seed == 0


def test_nothing_that_is_kept_names_the_photograph(photo, services, session, run):
    made = texture.make(texture.TextureRequest(photo=photo, consented=True, steps=2), services, run)
    result = portrait.make(
        portrait.PortraitRequest(photos=(photo,), prompt="p", consented=True, steps=1), services, run
    )[0]
    for file in session.folder.iterdir():
        assert b"secret-name" not in file.read_bytes() and "secret" not in file.name
    assert "secret" not in str(result.settings) + str(made.texture.settings)


def test_without_consent_no_photograph_is_used(photo, services, session, run):
    for request, make in (
        (portrait.PortraitRequest(photos=(photo,), prompt="p", consented=False), portrait.make),
        (expression.ExpressionRequest(photo=photo, consented=False), expression.make),
        (makeup.MakeupRequest(photo=photo, consented=False), makeup.make),
        (texture.TextureRequest(photo=photo, consented=False), texture.make),
    ):
        with pytest.raises(ConsentMissing, match="consent"):
            make(request, services, run)
    assert not any(facts["loaded"] for facts in services.loaded()) and not session.results


def test_what_is_no_photograph_is_said_without_its_name(tmp_path, services, session, run):
    broken = tmp_path / "secret.png"
    broken.write_bytes(b"\x89PNG nothing")
    request = texture.TextureRequest(photo=str(broken), consented=True)
    with pytest.raises(ImageError) as caught:
        texture.make(request, services, run)
    assert "secret" not in str(caught.value) and "photograph" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: portrait.PortraitRequest(photos=(), prompt=" ", consented=True), "prompt"),
        (lambda: portrait.PortraitRequest(photos=(), prompt="p", consented=True, steps=0), "steps 0"),
        (
            lambda: portrait.PortraitRequest(photos=(), prompt="p", consented=True, guidance=float("nan")),
            "guidance",
        ),
        (lambda: portrait.PortraitRequest(photos=(), prompt="p", consented=True, seed="7"), "seed '7'"),
        (lambda: expression.ExpressionRequest(photo=None, consented=True, expression="bored"), "'bored'"),
        (lambda: expression.ExpressionRequest(photo=None, consented=True, units=(("AU12", 9.0),)), "AU12 9"),
        (lambda: makeup.MakeupRequest(photo=None, consented=True, source="other"), "source 'other'"),
        (lambda: makeup.MakeupRequest(photo=None, consented=True, regions=("ears",)), "region ears"),
        (lambda: makeup.MakeupRequest(photo=None, consented=True, colours=(("nose", "#fff"),)), "layer nose"),
        (lambda: texture.TextureRequest(photo=None, consented=True, style="oil"), "style 'oil'"),
    ],
)
def test_what_no_control_gives_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_result_is_chosen_by_its_place_in_the_gallery(photo, services, session, run):
    request = portrait.PortraitRequest(photos=(photo,), prompt="p", consented=True, count=2, steps=1)
    older, newer = portrait.make(request, services, run)
    assert results.chosen(session, 0) is newer and results.chosen(session, 1) is older
    assert older.facts() == {"task": "portrait", "seed": 0, **older.settings}
    for index in (None, 2, -1):
        with pytest.raises(ValueError, match="choose a picture"):
            results.chosen(session, index)


@pytest.mark.parametrize("task", [portrait, expression, makeup, drag, texture])
def test_stop_ends_a_call_between_two_steps(task, photo, services, session):
    requests = {
        portrait: lambda: portrait.PortraitRequest(photos=(photo,), prompt="p", consented=True, steps=5),
        expression: lambda: expression.ExpressionRequest(photo=photo, consented=True, steps=5),
        makeup: lambda: makeup.MakeupRequest(photo=photo, consented=True, source="remove", steps=5),
        drag: lambda: drag.DragRequest(photo=photo, consented=True, drawn=drawn(), steps=5),
        texture: lambda: texture.TextureRequest(photo=photo, consented=True, steps=5),
    }
    told = []

    def progress(share, desc=None, unit=None):
        told.append(share)
        if share == (2, 5):
            session.stop("mine")

    with pytest.raises(Stopped):
        task.make(requests[task](), services, session.run("mine", progress))
    assert (2, 5) in told and (3, 5) not in told and not session.results
    session.stop("another")
    assert task.make(requests[task](), services, session.run("mine", progress=None)) and session.results


def test_examples_and_what_was_made_need_no_consent_and_uploads_do(photo, services, session, run):
    head = str(examples.heads()[0])
    portrait.make(portrait.PortraitRequest(photos=(head,), prompt="p", consented=False), services, run)
    made = portrait.make(
        portrait.PortraitRequest(photos=(photo,), prompt="p", consented=True), services, run
    )[0]
    again = expression.ExpressionRequest(photo=str(made.file), consented=False)
    assert expression.make(again, services, run)
    with pytest.raises(ConsentMissing):
        uploads.read(photo, Session.start(session.folder.parent), consented=False)
    with pytest.raises(ConsentMissing):
        uploads.read(made.file, Session.start(session.folder.parent), consented=False)


@pytest.mark.parametrize("name", ["my little kid", "IMG_20240112_101112", "head-17", "anna"])
def test_names_of_files_are_looked_at_for_youth_and_numbers_are_no_ages(name, tmp_path, session):
    path = tmp_path / f"{name}.png"
    Image.fromarray(toy_photo(0)).save(path)
    if "kid" in name:
        with pytest.raises(policy.PromptRefused) as caught:
            uploads.read(path, session, consented=True)
        assert "kid" not in str(caught.value)
    else:
        assert uploads.read(path, session, consented=True).shape == (96, 96, 3)


def test_presets_are_the_typical_units_of_an_expression():
    happy = dict(zip(expression.SHOWN, expression.preset("happy", 1), strict=True))
    contempt = dict(zip(expression.SHOWN, expression.preset("contempt", 2), strict=True))
    assert happy["AU12L"] == happy["AU12R"] == 0.85 and happy["AU4L"] == 0
    assert contempt["AU12L"] == expression.STRONGEST and contempt["AU12R"] == 0
    assert not any(expression.preset("neutral", 2))


def test_a_gesture_is_drawn_where_the_face_is(services):
    for name in gestures.EXAMPLES:
        state = drag.gesture(toy_photo(0), name, services)
        given = state.given((96, 96))
        assert len(given["drags"]) == len(gestures.EXAMPLES[name].drags)
        assert np.linalg.norm(given["drags"][:, 0] - 48, axis=1).max() <= 24.1
    with pytest.raises(ValueError, match="gesture 'fly'"):
        drag.gesture(toy_photo(0), "fly", services)
