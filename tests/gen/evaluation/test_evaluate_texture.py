"""The bars of textures: who knows the heads passes, every planted fault fails its own lines."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from faces.provenance import Provenance
from gen.evaluation import texture, texture_measures, texture_views
from gen.evaluation.bars import Settings
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Judge, JudgeIsNotIndependent
from pipelines.texture.export import to_glb_bytes
from pipelines.texture.inputs import HeadMesh
from tests.gen.evaluation import texture_standins
from tests.gen.evaluation.standins import StandInJudge
from tests.gen.evaluation.texture_standins import StandInTexture
from tests.pipelines.texture_components import (
    ToyAnalyzer,
    toy_photo,
    toy_template,
    toy_texture_pipeline,
)

KEPT = "seen texels that stay bit for bit"
SEAM = "gradient across the border of what is seen, relative to the true one"
WRONG = "dB lost in hidden texels when another subject's are shown"
CONTROLS = "controls that miss their bar, as they must"
VIEWS = "PSNR of views 30 degrees away, dB: gain over the mirror image"
ALIKE = "identity cosine of views 30 degrees away: gain over the mirror image"


@pytest.fixture(scope="module", autouse=True)
def small_and_fast():
    def roughly(values, clusters):
        return mean_interval(values, clusters, draws=20)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texture_views, "SIZE", 64)
        patched.setattr(texture, "_MEAN_OF", 3)
        patched.setattr(texture.speed, "THREADS", 1)
        for module in (texture, texture_measures, texture_views):
            patched.setattr(module, "mean_interval", roughly)
        yield


@pytest.fixture(scope="module")
def drawn():
    return texture_standins.exam()


@pytest.fixture(scope="module")
def judge():
    return Judge(StandInJudge())


def measured(pipe, drawn, judge, **settings):
    bars = texture.measure_textures(pipe, judge, drawn, Settings(**settings))
    assert len({bar.name for bar in bars}) == len(bars)
    return {bar.name: bar for bar in bars}


@pytest.fixture(scope="module")
def oracle(drawn, judge):
    return measured(StandInTexture(drawn), drawn, judge, quick=True)


@pytest.fixture(scope="module")
def averaging(drawn, judge):
    return measured(StandInTexture(drawn, "mean"), drawn, judge, quick=True)


def gains(bars):
    return {name: bar for name, bar in bars.items() if ": dB over " in name}


def failed(bars):
    return {name for name, bar in bars.items() if not bar.passed and "not measured" not in bar.domain}


def test_who_knows_the_heads_passes_every_bar(oracle):
    assert failed(oracle) == set()
    regions = {name.split(" texels: ")[0] for name in gains(oracle)}
    assert regions == {"never-seen", "mirror-seen", "one-sided marks, mirror-seen"}
    assert min(bar.value for bar in gains(oracle).values()) > 20
    assert oracle[KEPT].value == 1 and oracle[KEPT].control < 0.5
    assert oracle["deviation of never-seen texels between these samples, of 255"].value == 0
    assert oracle[SEAM].control > 1.25 and oracle[WRONG].value > 20


def test_the_mean_texture_fails_every_gain(averaging):
    assert failed(gains(averaging)) == set(gains(averaging)) != set()
    assert averaging[KEPT].passed and not averaging[SEAM].passed
    assert averaging[SEAM].value == pytest.approx(averaging[SEAM].control)
    assert not averaging[WRONG].passed and averaging[WRONG].value == pytest.approx(0, abs=1e-4)


def test_seen_texels_that_are_drawn_anew_are_noticed(drawn, judge):
    bars = measured(StandInTexture(drawn, "redrawing"), drawn.some(4), judge, quick=True)
    assert failed(bars) == {KEPT} and bars[KEPT].value < 0.3


def test_a_step_at_the_border_of_what_is_seen_is_noticed(drawn, judge):
    bars = measured(StandInTexture(drawn, "pasting"), drawn.some(4), judge, quick=True)
    assert SEAM in failed(bars) and bars[SEAM].value > 2 and bars[KEPT].passed


def test_completing_everybody_alike_is_noticed(drawn, judge):
    bars = measured(StandInTexture(drawn, "deaf"), drawn.some(4), judge, quick=True)
    assert {WRONG, VIEWS} <= failed(bars)


def test_views_tell_whose_head_it_is(oracle, averaging):
    for title, unit in (("PSNR, dB", 3), ("identity cosine", 0.001)):
        name = f"views 30 degrees away, completed: {title}"
        assert oracle[name].value > averaging[name].value + unit
    assert oracle["views 30 degrees away, completed: identity cosine"].value > 0.99
    assert oracle[VIEWS].n == oracle[ALIKE].n == len(texture_standins.YAWS)


def test_the_pipeline_itself_is_measured_and_drawn(drawn, judge, tmp_path):
    told = []
    pipe = toy_texture_pipeline(manifold=texture_standins.manifold())
    settings = {"plots": tmp_path, "progress": lambda text, share: told.append((text, share))}
    few = drawn.some(4)
    whole = measured(pipe, few, judge, **settings)
    assert whole[KEPT].value == 1
    unmeasured = [bar.name for bar in whole.values() if bar.value is None or not np.isfinite(bar.value)]
    assert all(name.startswith("one-sided marks") for name in unmeasured), "four heads have too few marks"
    repainted = "PSNR of never-seen texels, RePaint over the unconditional model, dB"
    assert repainted in whole and "PSNR of never-seen texels, mean of 3 samples of temperature 1, dB" in whole
    assert whole["deviation of never-seen texels between these samples, of 255"].value > 0
    sheet = Image.open(tmp_path / "textures.png")
    assert (
        sheet.width > 7 * 100 and sheet.height > len(few) * 100 and np.asarray(sheet.convert("L")).std() > 20
    )
    assert {("views", 1.0), ("completion", 1.0), ("RePaint", 1.0)} <= set(told)
    assert all(0 <= share <= 1 for _, share in told)

    quick = measured(pipe, few, judge, quick=True)
    assert set(whole) - set(quick) == {
        repainted,
        "PSNR of never-seen texels, mean of 3 samples of temperature 1, dB",
    }
    assert quick[VIEWS].value == pytest.approx(whole[VIEWS].value, abs=1e-4), "calls repeat"


def test_a_quick_run_takes_fewer_heads(drawn, judge, monkeypatch):
    monkeypatch.setattr(texture, "QUICK", 3)
    assert measured(StandInTexture(drawn), drawn, judge, quick=True)[KEPT].n == 3


def test_light_is_taken_off_lit_pictures(oracle):
    left, bare = (
        oracle[f"lit pictures, {title}: PSNR of seen texels, dB"].value
        for title in ("light left", "light taken off")
    )
    assert bare > left + 2


def test_a_judge_that_takes_part_is_refused(drawn, judge):
    pipe = SimpleNamespace(components={"unet": judge.network})
    with pytest.raises(JudgeIsNotIndependent):
        texture.measure_textures(pipe, judge, drawn, Settings())


@pytest.fixture
def mesh():
    return HeadMesh.of(toy_template())


@pytest.fixture
def content(mesh):
    picture = np.full((8, 8, 3), 99, np.uint8)
    return to_glb_bytes(
        mesh.vertices,
        toy_template(),
        picture,
        Provenance(digital_source_type="algorithmicMedia", pipeline="toy"),
    )


@pytest.mark.parametrize(
    ("part", "damaged"),
    [
        ("triangles", lambda whole: whole[:, ::-1]),
        ("vertices", lambda whole: whole + [0, 0.01, 0]),
        ("uv", lambda whole: whole * [1, -1] + [0, 1]),
    ],
)
def test_faults_of_a_file_are_counted(content, mesh, part, damaged):
    assert texture.glb_faults(content, mesh) == 0
    wrong = dataclasses.replace(mesh, **{part: damaged(getattr(mesh, part))})
    assert texture.glb_faults(content, wrong) == 1
    everything = dataclasses.replace(wrong, vertices=mesh.vertices * 2)
    assert texture.glb_faults(content, everything) == (1 if part == "vertices" else 2)


def test_fitted_heads_are_nearer_to_the_landmarks_than_the_mean_head():
    pipe = toy_texture_pipeline()
    photos = [toy_photo(0), toy_photo(40)]
    landmarks = [ToyAnalyzer().require_face(one).landmarks for one in photos]
    renders = SimpleNamespace(images=np.stack(photos), landmarks=np.stack(landmarks), identities=np.arange(2))
    found = texture.fit_bar(pipe, renders, 2)
    assert found.passed and found.n == 2 and found.control > 2 * found.value
    moved = SimpleNamespace(**vars(renders) | {"landmarks": renders.landmarks * [1, 1.2]})
    assert not texture.fit_bar(pipe, moved, 2).passed


def test_the_command_measures_the_exam_and_loads_what_it_needs(drawn, judge, tmp_path, monkeypatch):
    texture_standins.write(drawn.some(3), tmp_path)
    pipe = toy_texture_pipeline(manifold=texture_standins.manifold())
    landmarks = ToyAnalyzer().require_face(toy_photo()).landmarks
    renders = SimpleNamespace(images=toy_photo()[None], landmarks=landmarks[None], identities=np.zeros(1))
    monkeypatch.setattr("pipelines.texture.pipeline.TexturePipeline.from_pretrained", lambda model: pipe)
    monkeypatch.setattr(texture.perception_exam, "load", lambda part: renders)
    monkeypatch.setattr(texture.Judge, "bundled", lambda device: judge)
    bars = texture.measure(Settings(data=tmp_path, quick=True, device="cpu"))
    assert len({bar.name for bar in bars}) == len(bars)
    assert [bar.name for bar in bars[-4:]] == [
        CONTROLS, "reprojection of a fitted head, share of the distance of the eyes' outer corners",
        "seconds from a photograph to its GLB", "faults of the GLB as it is read back",
    ]  # fmt: skip
    assert bars[-1].value == 0 and bars[-2].n == 2 and "96 px" in bars[-2].domain
