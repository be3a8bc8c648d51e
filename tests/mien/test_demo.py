"""The demo: what it makes, in what order it fails, and that its page stands alone.

The pipeline, the engine and the evaluation are stand-ins here; their own tests use the real ones.
"""

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from faces import provenance, vocabulary
from faces.makeup import BARE
from gen.evaluation.bars import Bar
from gen.plan import PlanConflict
from mien import demo, demo_drag, demo_texture, makeup, page, portrait
from pipelines.drag.gestures import EXAMPLES
from tests.pipelines.texture_components import toy_photo, toy_texture_pipeline


class Painter:
    """Answers like PortraitPipeline; remembers its calls."""

    def __init__(self):
        self.calls = []

    def to(self, device):
        return self

    def set_progress_bar_config(self, disable):
        pass

    def __call__(self, image, prompt, generator, **settings):
        self.calls.append((image, prompt, [one.initial_seed() for one in generator]))
        return SimpleNamespace(images=[Image.new("RGB", (16, 16), "teal") for _ in prompt])


class FacePainter(Painter):
    """Answers like ExpressionPipeline with a picture for each expression."""

    def __call__(self, image, prompt, expression, generator, **settings):
        self.calls.append((image, expression, [one.initial_seed() for one in generator]))
        return SimpleNamespace(images=[Image.new("RGB", (16, 16), "olive") for _ in expression])


class Brush(Painter):
    """Answers like MakeupPipeline with pictures in a colour of the call's."""

    def weights_sha256(self):
        return "cd" * 32

    def __call__(self, image, makeup, generator):
        self.calls.append((image, makeup, [one.initial_seed() for one in generator]))
        colour = (20 * len(self.calls), 0, 0)
        return SimpleNamespace(images=[Image.new("RGB", (16, 16), colour) for _ in image])


class Hand(Painter):
    """Answers like DragPipeline, whose frame is the photograph, with a flow of one pixel to the right."""

    LANDMARKS = np.random.default_rng(0).uniform(16, 48, (68, 2))

    @property
    def analyzer(self):
        face = SimpleNamespace(landmarks=self.LANDMARKS, matrix=np.eye(2, 3))
        return SimpleNamespace(require_face=lambda photo: face)

    def weights_sha256(self):
        return "ef" * 32

    def __call__(self, photo, drags, pins, generator):
        self.calls.append((photo, drags, pins, generator.initial_seed()))
        flow = torch.stack([torch.ones(1, 64, 64), torch.zeros(1, 64, 64)], dim=1)
        return SimpleNamespace(images=[Image.new("RGB", (64, 64), "purple")], flow=flow)


class Sculptor(Painter):
    """Answers like TexturePipeline, with the toy head; the second photograph that is fitted is turned further."""

    YAWS = (-3.0, 9.0)

    def __init__(self):
        super().__init__()
        self.toy, self.fits = toy_texture_pipeline(), 0
        self.template, self.layout, self.export_glb = self.toy.template, self.toy.layout, self.toy.export_glb

    def weights_sha256(self):
        return "12" * 32

    def fit(self, photo):
        self.fits += 1
        camera = SimpleNamespace(angles=(self.YAWS[(self.fits - 1) % 2], 0.0, 0.0))
        return SimpleNamespace(fit=SimpleNamespace(camera=camera))

    def __call__(self, photo, generator):
        self.calls.append((photo, generator.initial_seed()))
        return self.toy(toy_photo(40), num_inference_steps=1, strength=0, generator=generator)


@pytest.fixture
def stage(monkeypatch, tmp_path):
    """Everything that costs time replaced; two bundled references."""
    references = tmp_path / "references"
    references.mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (64, 64), "tan").save(references / f"{name}.webp")
    monkeypatch.setattr(demo, "REFERENCES", references)
    painter = Painter()
    module = ModuleType("pipelines.portrait.pipeline")
    module.PortraitPipeline = SimpleNamespace(from_pretrained=lambda model: painter)
    monkeypatch.setitem(sys.modules, "pipelines.portrait.pipeline", module)
    faces, module = FacePainter(), ModuleType("pipelines.expression.pipeline")
    module.ExpressionPipeline = SimpleNamespace(from_pretrained=lambda model: faces)
    monkeypatch.setitem(sys.modules, "pipelines.expression.pipeline", module)
    monkeypatch.setattr(demo, "_steers_expressions", lambda model: True)
    brush, module = Brush(), ModuleType("pipelines.makeup.pipeline")
    module.MakeupPipeline = SimpleNamespace(from_pretrained=lambda model: brush)
    monkeypatch.setitem(sys.modules, "pipelines.makeup.pipeline", module)
    hand, module = Hand(), ModuleType("pipelines.drag.pipeline")
    module.DragPipeline = SimpleNamespace(from_pretrained=lambda model: hand)
    monkeypatch.setitem(sys.modules, "pipelines.drag.pipeline", module)
    sculptor, module = Sculptor(), ModuleType("pipelines.texture.pipeline")
    module.TexturePipeline = SimpleNamespace(from_pretrained=lambda model: sculptor)
    monkeypatch.setitem(sys.modules, "pipelines.texture.pipeline", module)
    white = np.full((3, 224, 224, 3), 255, np.uint8)
    monkeypatch.setattr("mien.texture_pictures.turntable", lambda *_, **options: white)
    monkeypatch.setattr(demo.expression, "seen_prompt", lambda picture, pose: f"{picture.stem}, {pose}")
    monkeypatch.setattr(portrait, "model_digest", lambda model: "ab" * 32)
    made = []

    def make(recipe, out, **settings):
        made.append((recipe, settings))
        out.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), "navy").save(out / "contact.jpg")
        return {
            "dataset": str(out),
            "pictures": 11,
            "planned": 12,
            "rejected": 3,
            "report": str(out / "report.html"),
        }

    monkeypatch.setattr("mien.generate.make", make)
    lines = {
        "portrait": [
            Bar(
                name="TAR at FAR 1 %",
                value=0.72,
                bar=0.7,
                direction=">=",
                n=48,
                ci95=(0.61, 0.83),
                control=0.01,
            )
        ],
        "identities": [Bar(name="unique <1>", value=None, bar=0.7, direction=">=", n=48)],
    }
    monkeypatch.setattr("gen.evaluation.bars.evaluate", lambda task, quick, **_: lines[task])
    settings = demo.Demo(out=tmp_path / "out", identities=3, images_per_id=4)
    return SimpleNamespace(
        painter=painter, faces=faces, brush=brush, hand=hand, sculptor=sculptor, made=made, settings=settings,
        lines=lines, folder=tmp_path,
    )  # fmt: skip


def test_everything_ends_up_on_one_page(stage):
    path = demo.run(stage.settings)
    text = path.read_text()
    assert path == stage.settings.out / "index.html"
    looks = len(demo.LOOKS)
    dragged, textured = 2 * (len(demo_drag.SHOWN) + 1), 2
    made_up = 2 * (len(demo.MAKEUP) + 1)
    assert text.count("<img") == 2 * (looks + 1) + 2 * (8 + 1) + made_up + dragged + textured + 1
    assert f"<b>{2 * looks}</b>" in text
    assert "11 of 12 planned pictures kept; 3 attempts" in text
    assert "0.72" in text
    assert "0.61 – 0.83" in text
    assert text.count('class="pass"') == 1
    assert text.count('class="fail"') == 1
    assert "unique &lt;1&gt;" in text
    assert "abab" in text
    assert not list(stage.settings.out.glob(".*.part"))


def test_the_page_needs_nothing_else(stage):
    text = demo.run(stage.settings).read_text()
    assert set(re.findall(r'src="(.{5})', text)) == {"data:"}
    assert "<script" not in text
    assert "<link" not in text
    assert set(re.findall(r'href="([^"]*)"', text)) == {
        "dataset/report.html", "texture/a.glb", "texture/b.glb",
    }  # fmt: skip


def test_portraits_are_made_in_batches_of_different_people_with_shared_noise(stage, monkeypatch):
    monkeypatch.setattr(demo, "BATCH", 5)
    demo.run(demo.Demo(out=stage.settings.out, seed=40))
    looks = len(demo.LOOKS)
    images = [image for call in stage.painter.calls for image in call[0]]
    prompts = [prompt for call in stage.painter.calls for prompt in call[1]]
    seeds = [seed for call in stage.painter.calls for seed in call[2]]
    assert max(len(call[1]) for call in stage.painter.calls) == 5
    assert prompts == list(demo.prompts_of_looks()) * 2
    assert seeds == [40 + look for look in range(looks)] * 2
    assert [Path(image[0]).stem for image in images] == ["a"] * looks + ["b"] * looks


def test_every_portrait_says_what_made_it(stage):
    demo.run(stage.settings)
    files = sorted((stage.settings.out / "portraits").glob("*.png"))
    assert [file.name for file in files] == [
        f"{name}-{n + 1}.png" for name in "ab" for n in range(len(demo.LOOKS))
    ]
    record = provenance.read(files[0])
    assert (record.pipeline, record.model, record.model_sha256) == ("PortraitPipeline", "mini", "ab" * 32)
    assert record.prompt_sha256 == provenance.prompt_hash(demo.prompts_of_looks()[0])


def test_every_expression_of_the_first_people_shares_its_noise(stage, monkeypatch):
    monkeypatch.setattr(demo, "EXPRESSIVE", 1)
    demo.run(demo.Demo(out=stage.settings.out, seed=40))
    ((image, expressions, seeds),) = stage.faces.calls
    assert Path(image).stem == "a" and expressions == list(vocabulary.EXPRESSIONS) and seeds == [40] * 8
    files = sorted((stage.settings.out / "expressions").glob("*.png"))
    assert [file.stem for file in files] == sorted(f"a-{name}" for name in vocabulary.EXPRESSIONS)
    assert provenance.read(files[0]).pipeline == "ExpressionPipeline"


def test_a_model_that_cannot_steer_expressions_shows_none(stage, monkeypatch):
    monkeypatch.setattr(demo, "_steers_expressions", lambda model: False)
    assert "<h2>Expressions</h2>" not in demo.run(stage.settings).read_text()
    assert stage.faces.calls == []


def test_makeup_goes_from_colours_to_another_person_and_comes_off(stage):
    demo.run(demo.Demo(out=stage.settings.out, seed=40))
    *told, passed_on, removed = stage.brush.calls
    assert [call[1] for call in told] == [[look] * 2 for look in makeup.EXAMPLES.values()]
    worn = (20 * len(told), 0, 0)
    assert [one.getpixel((0, 0)) for one in [*passed_on[1], *removed[0]]] == [worn] * 4
    assert passed_on[0] == told[0][0] and passed_on[1][0] is removed[0][1]
    assert removed[1] == [BARE] * 2
    assert all(call[2] == [40, 40] for call in stage.brush.calls)
    files = sorted((stage.settings.out / "makeup").glob("*.png"))
    assert len(files) == 2 * len(demo.MAKEUP)
    record = provenance.read(files[0])
    assert (record.pipeline, record.model_sha256) == ("MakeupPipeline", "cd" * 32)


def test_each_person_is_dragged_in_another_way(stage):
    text = demo.run(demo.Demo(out=stage.settings.out, seed=40)).read_text()
    for name, (photo, drags, pins, seed) in zip(demo_drag.GESTURES, stage.hand.calls, strict=False):
        expected = EXAMPLES[name].on(Hand.LANDMARKS, (64, 64))
        assert photo.shape == (64, 64, 3) and seed == 40
        assert np.array_equal(drags, expected[0]) and np.array_equal(pins, expected[1])
    assert len(stage.hand.calls) == 2 and "from above: turn the head, open the mouth." in text
    files = sorted((stage.settings.out / "drag").glob("*.png"))
    assert [file.stem for file in files] == [
        f"{n}-{part}" for n in "ab" for part in ("drags", "edit", "flow")
    ]
    asked, edit, flow = (np.asarray(Image.open(file).convert("RGB")) for file in files[:3])
    tan = np.asarray(Image.open(stage.folder / "references" / "a.webp").convert("RGB"))
    assert 0 < (np.abs(asked.astype(int) - tan).max(axis=-1) > 40).mean() < 0.5
    assert edit[32, 32].tolist() == [128, 0, 128]
    assert (flow[32, 32].astype(int) - tan[32, 32] > 0).tolist() == [True, False, False]  # right is red
    record = provenance.read(files[1])
    assert (record.pipeline, record.model_sha256) == ("DragPipeline", "ef" * 32)
    assert record.extra == {"gesture": "turn the head"}


def test_people_become_heads_those_who_are_turned_further_first(stage):
    text = demo.run(demo.Demo(out=stage.settings.out, seed=40)).read_text()
    assert stage.sculptor.fits == 2 and [seed for _, seed in stage.sculptor.calls] == [40, 40]
    assert text.index("Person 2, turned") < text.index("Person 1, turned")
    told = re.search(r"texels (\d+)% are seen, (\d+)% generated after their mirror image, (\d+)% gen", text)
    shares = [int(share) for share in told.groups()]
    assert sum(shares) == pytest.approx(100, abs=1) and min(shares[0], shares[2]) > 0
    folder = stage.settings.out / "texture"
    assert sorted(file.name for file in folder.iterdir()) == ["a.glb", "a.webp", "b.glb", "b.webp"]
    assert Image.open(folder / "a.webp").width == 7 * 224
    record = provenance.read(folder / "a.webp")
    assert (record.pipeline, record.model_sha256, record.seed) == ("TexturePipeline", "12" * 32, 40)
    data = (folder / "a.glb").read_bytes()
    tree = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert tree["asset"]["extras"]["mien"] == json.loads(record.to_json())


def test_only_some_people_become_heads(stage, monkeypatch):
    monkeypatch.setattr(demo_texture, "COUNT", 1)
    text = demo.run(stage.settings).read_text()
    assert text.count(".glb</a>") == 1 and "b.glb" in text


def test_the_user_becomes_a_head_first(stage):
    photo = stage.folder / "me.png"
    Image.fromarray(toy_photo(0)).save(photo)
    text = demo.run(demo.Demo(out=stage.settings.out, photo=photo)).read_text()
    assert np.array_equal(stage.sculptor.calls[0][0], toy_photo(0))
    assert (
        text.index("Your picture, turned") < text.index("Person 1, turned") < text.index("Person 2, turned")
    )


def test_a_picture_of_the_user_comes_first(stage):
    photo = stage.folder / "me.jpg"
    Image.fromarray(np.full((3000, 2000, 3), 128, np.uint8)).save(photo)
    text = demo.run(demo.Demo(out=stage.settings.out, photo=photo)).read_text()
    assert Path(stage.painter.calls[0][0][0][0]).name == "your-picture.png"
    assert Image.open(stage.settings.out / "references" / "your-picture.png").size == (683, 1024)
    assert "your picture" in text


def test_a_bad_picture_fails_before_anything_is_made(stage):
    photo = stage.folder / "me.jpg"
    photo.write_text("not a picture")
    with pytest.raises(ValueError, match=r"me\.jpg"):
        demo.run(demo.Demo(out=stage.settings.out, photo=photo))
    assert stage.painter.calls == []
    assert stage.made == []


def test_a_dataset_of_other_settings_is_made_anew(stage, monkeypatch):
    from mien import generate

    first, seen = generate.make, []

    def make(recipe, out, *, overwrite=False, **settings):
        seen.append(overwrite)
        if not overwrite:
            raise PlanConflict("out/dataset: holds another plan")
        return first(recipe, out, **settings)

    monkeypatch.setattr("mien.generate.make", make)
    demo.run(stage.settings)
    assert seen == [False, True]


def test_the_recipe_follows_the_settings(stage):
    demo.run(demo.Demo(out=stage.settings.out, identities=5, images_per_id=2, seed=9, workers=1))
    ((recipe, settings),) = stage.made
    assert (recipe.ids, recipe.images_per_id, recipe.seed, recipe.steps) == (5, 2, 9, 8)
    assert recipe.drawings == 1
    assert settings["workers"] == 1


def test_without_held_out_heads_the_page_says_so(stage, monkeypatch):
    def refuse(task, quick, **_):
        raise FileNotFoundError("held-out heads: no labels.parquet")

    monkeypatch.setattr("gen.evaluation.bars.evaluate", refuse)
    text = demo.run(stage.settings).read_text()
    assert text.count("Not measured here: held-out heads: no labels.parquet") == 2
    assert "bars passed" not in text


def test_missing_references_are_named(stage, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "REFERENCES", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no reference pictures"):
        demo.run(stage.settings)


def test_every_look_can_be_worded():
    prompts = demo.prompts_of_looks()
    assert len(set(prompts)) == len(demo.LOOKS)
    assert all(prompt.startswith("portrait of a") for prompt in prompts)


@pytest.mark.parametrize(("value", "text"), [(None, ""), (0.12345, "0.123"), (12.0, "12"), (0.0, "0")])
def test_numbers_are_short(value, text):
    assert page._number(value) == text


def test_the_page_of_an_evaluation_shows_bars_and_plots(tmp_path):
    bars = [
        Bar(name="r <of units>", value=0.8, bar=0.75, direction=">=", n=9),
        Bar(name="seconds", value=5.0, bar=4.0, direction="<=", n=3),
    ]
    Image.new("RGB", (4, 4), "red").save(tmp_path / "scaling.png")
    html = page.write_evaluation("expressions", bars, "mien evaluate expressions", tmp_path).read_text()
    assert "1 of 2 bars passed" in html and "r &lt;of units&gt;" in html
    assert html.count('class="pass"') == html.count('class="fail"') == 1
    assert html.count("data:image/png;base64,") == 1 and "scaling" in html


def test_a_line_without_a_bar_neither_passes_nor_misses():
    told = Bar(name="baseline", value=3.0, bar=float("inf"), direction="<=", n=9)
    assert "inf" not in page._bar(told) and "pass" not in page._bar(told) and "≤" not in page._bar(told)
    unmeasured = Bar(name="baseline", value=None, bar=float("inf"), direction="<=", n=0)
    assert 'class="fail"' in page._bar(unmeasured)
