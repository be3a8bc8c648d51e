"""The bars of drag editing: a nearly perfect pipeline passes, every planted fault fails its own lines."""

from __future__ import annotations

import dataclasses
import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from gen.evaluation import bars, drag, drag_exam, drag_flows, drag_pictures, drag_plots
from gen.evaluation.bars import Bar, Settings
from gen.evaluation.drag_flows import COUNTS, FEW, FlowErrors
from gen.evaluation.judge import Judge, JudgeIsNotIndependent
from pipelines.drag.drags import Drags
from tests.gen.evaluation import drag_standins
from tests.gen.evaluation.drag_standins import StandInDrag
from tests.gen.evaluation.standins import StandInJudge
from tests.pipelines.drag_components import toy_drag_pipeline

OTHERS, ELSE = "(control: flows of other edits)", "(control: somebody else's)"
BEST = f"flow error at 5 drags over that of the best baseline {OTHERS}"
STILL = f"flow error at 5 drags over that of no flow {OTHERS}"
FALLS = "flow error falls with 1, 3, 5, 10, 68 drags, share of steps (control: no flow)"
AT_DRAGS = f"error at the dragged point at 5 drags, median share of its drag {OTHERS}"
LEAK = "background flow at 5 drags, share of the width (control: nearest drag everywhere)"
LEFT = f"drag distance left at 5 drags {OTHERS}"
DOUBLED = "drag distance by flows of other edits over that by the own"
UNMOVED = f"unmoved region before compositing, PSNR in dB {ELSE}"
MASK = "edit mask: every byte outside as it was, share of edits (control: no mask)"
BACK = f"no drags give the input back, PSNR in dB before compositing {ELSE}"
IDENTITY = f"identity: cosine of source and true target less that of source and output {ELSE}"
CONTROLS = "controls that miss their bar, as they must"


@pytest.fixture(scope="module")
def drawn():
    return drag_standins.exam(people=4)


@pytest.fixture(scope="module")
def judge():
    return Judge(StandInJudge())


@pytest.fixture(scope="module")
def perfect(drawn, judge):
    lines = drag.measure_edits(StandInDrag(drawn), judge, drawn, Settings())
    assert len({line.name for line in lines}) == len(lines)
    return {line.name: line for line in lines}


def editor(drawn, fault: str = "", **settings) -> drag.Editor:
    return drag.Editor(pipe=StandInDrag(drawn, fault), exam=drawn, settings=Settings(**settings))


def failed(lines) -> set[str]:
    return {line.name for line in lines if not line.passed}


def test_a_nearly_perfect_pipeline_passes(perfect):
    assert failed(perfect.values()) == set()
    assert {BEST, STILL, FALLS, AT_DRAGS, LEAK, LEFT, DOUBLED, UNMOVED, MASK, BACK, IDENTITY, CONTROLS} == {
        name for name, line in perfect.items() if line.bar != bars.NO_BAR
    }
    # The stand-in's flow is 2 % short at 5 drags.
    assert perfect[STILL].value == pytest.approx(0.02, abs=1e-5)
    assert perfect[AT_DRAGS].value == pytest.approx(0.02, abs=1e-4)
    assert perfect[LEFT].value < 0.1 and perfect[LEFT].control > 0.7
    assert perfect[LEAK].value == 0 and perfect[BACK].value == 99 and perfect[UNMOVED].value > 45
    assert perfect[IDENTITY].value == pytest.approx(0, abs=1e-4) and perfect[IDENTITY].control > 0.5
    assert all(
        line.n == 4 for name, line in perfect.items() if name not in (CONTROLS, AT_DRAGS, *sizes(perfect))
    )
    assert all(line.ci95 is not None for line in perfect.values() if line.name != CONTROLS)


def sizes(lines) -> list[str]:
    return [name for name in lines if name.startswith("drag distance in px of 128")]


def test_the_controls_miss_their_bars(perfect):
    line = perfect[CONTROLS]
    assert line.value == 1 and line.n == sum(one.control is not None for one in perfect.values()) == 10


def test_baselines_are_told_at_every_number_of_drags(drawn, perfect):
    still = np.mean(
        [
            np.linalg.norm(flow, axis=-1)[head].mean()
            for flow, head in zip(drawn.flows, drawn.heads, strict=True)
        ]
    )
    line = perfect["flow error at 5 drags in px of 128, zero flow"]
    assert line.value == pytest.approx(still) and not math.isfinite(line.bar)
    assert line.domain.endswith(", ".join(f"{count}: {still:.2f}" for count in COUNTS))
    plate = perfect["flow error at 5 drags in px of 128, thin-plate spline"].value
    assert perfect[BEST].value == pytest.approx(0.02 * still / plate, rel=1e-4)
    assert f"thin-plate spline {plate:.2f}" in perfect[BEST].domain


@pytest.mark.parametrize(
    ("fault", "missed"), [("plate", {BEST, STILL}), ("short", {FALLS, AT_DRAGS}), ("loose", {LEAK})]
)
def test_faults_of_flows(drawn, fault, missed):
    made, rows = editor(drawn, fault), drawn.edits(4)
    flows = {count: made.flows(rows, count) for count in COUNTS}
    found = drag_flows.errors(drawn, rows, flows)
    lines = drag_flows.measure(drawn, rows, flows, found)
    by_name = {line.name: line for line in lines}
    assert failed(lines) == missed
    if fault == "plate":
        # The best one is sought in every draw of the interval, so that none is below 1.
        assert by_name[BEST].value == pytest.approx(1) and by_name[BEST].ci95[0] == pytest.approx(1)
    if fault == "short":
        assert by_name[AT_DRAGS].value == pytest.approx(0.1, abs=1e-4) and by_name[FALLS].value == 0
    if fault == "loose":
        # sqrt 2 pixels of 128 everywhere.
        assert by_name[LEAK].value == pytest.approx(math.sqrt(2) / 128, rel=1e-5)


@pytest.mark.parametrize(
    ("fault", "missed"),
    [
        ("idle", {LEFT, DOUBLED}),
        ("deaf", {DOUBLED, BACK}),
        ("noisy", {UNMOVED, BACK}),
        ("open", {MASK}),
        ("stranger", {LEFT, DOUBLED, UNMOVED, BACK, IDENTITY}),
    ],
)
def test_faults_of_pictures(drawn, judge, fault, missed):
    made, rows = editor(drawn, fault), drawn.edits(4)
    own = made.edit("", rows)
    lines = drag.picture_bars(made, judge, rows, made.flows(rows, FEW), own)
    by_name = {line.name: line for line in lines}
    assert failed(lines) == missed
    if fault == "idle":
        assert by_name[LEFT].value == pytest.approx(1) and by_name[DOUBLED].value == pytest.approx(1)
    if fault == "deaf":
        assert by_name[LEFT].value == pytest.approx(0) and by_name[DOUBLED].value == pytest.approx(1)


def test_a_pipeline_that_holds_the_judge_is_refused(drawn, judge):
    with pytest.raises(JudgeIsNotIndependent, match="unet: holds 1 weights of the judge"):
        drag.measure_edits(StandInDrag(drawn, "leaky"), judge, drawn, Settings())


def test_quick_edits_less_and_draws_sheets(monkeypatch, drawn, judge, tmp_path):
    monkeypatch.setattr(drag, "QUICK_PEOPLE", 3)
    monkeypatch.setattr(drag, "QUICK_KEPT", 1)
    pipe = StandInDrag(drawn)
    lines = drag.measure_edits(pipe, judge, drawn, Settings(quick=True, plots=tmp_path))
    assert pipe.calls == [("drags", 3), ("flow", 3), ("mask", 1), ("edit_with_flow", 1)]
    assert next(line for line in lines if line.name == STILL).n == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drags.png", "flow-error.png"]
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 10


def test_edits_come_in_batches_with_the_noise_of_their_pictures(monkeypatch, drawn):
    monkeypatch.setattr(drag, "_BATCH", 3)
    told, seeds = [], []
    made = editor(drawn, progress=lambda *step: told.append(step))

    class Watched(StandInDrag):
        def __call__(self, *given, generator, **named):
            seeds.extend(one.initial_seed() for one in generator)
            return super().__call__(*given, generator=generator, **named)

    made = dataclasses.replace(made, pipe=Watched(drawn))
    rows = drawn.edits()
    flows = made.flows(rows, FEW)
    own = made.edit("making", rows)
    assert made.pipe.calls == [("drags", 3), ("drags", 3), ("drags", 2)]
    assert told[-4:] == [("making", 0), ("making", 3 / 8), ("making", 6 / 8), ("making", 1)]
    again = made.follow("again", rows, flows)
    assert (again.outputs == own.outputs).all() and (own.drawn == own.outputs).all()
    assert seeds[:8] == seeds[8:] and len(set(seeds)) == 8


def test_flows_are_brought_to_the_frame(drawn):
    coarse = SimpleNamespace(
        device="cpu", predict_flow=lambda frames, drags: torch.ones(len(drags), 2, 64, 64)
    )
    made = drag.Editor(pipe=coarse, exam=drawn, settings=Settings())
    flows = made.flows(drawn.edits(), 3)
    assert flows.shape == (8, 128, 128, 2) and (flows == 2).all()


def test_a_real_pipeline_at_toy_size(drawn, judge):
    pipe = toy_drag_pipeline()
    small = drawn.resized(pipe.frame_size)
    made = drag.Editor(pipe=pipe, exam=small, settings=Settings())
    rows = small.edits(3)
    own, flows = made.edit("", rows), made.flows(rows, FEW)
    frames = torch.from_numpy(small.images[rows]).movedim(-1, 1) / 127.5 - 1
    drawn_again = pipe.edit_with_flow(
        frames, torch.from_numpy(flows).movedim(-1, 1), generator=made._noise(rows)
    )
    again = drag._bytes((drawn_again / 2 + 0.5).movedim(1, -1).numpy())
    assert np.abs(own.drawn.astype(int) - again).max() <= 1
    still = made.follow("", rows, 0 * flows)
    assert (still.outputs == small.images[rows]).all() and (still.drawn != still.outputs).any()
    assert (still.drawn == made.still("", rows)).all()
    lines = drag.measure_edits(pipe, judge, drawn, Settings(quick=True))
    by_name = {line.name: line for line in lines}
    assert by_name[MASK].passed and {BEST, STILL, AT_DRAGS, BACK} <= failed(lines)
    assert all(line.value is not None and math.isfinite(line.value) for line in lines)


def test_others_are_other_people_each_once():
    for people in (2, 3, 4, 7):
        for pictures in (1, 2, 4):
            persons = np.repeat(np.arange(people), pictures)
            order = drag_flows.others(persons)
            assert sorted(order) == list(range(len(persons))) and (persons[order] != persons).all()


def test_the_error_must_fall_at_every_step():
    steady = {count: np.full(4, 5.0) for count in COUNTS}
    for means, share in (((5, 4, 3, 2, 1), 1.0), ((5, 4, 4, 2, 1), 0.75), ((5, 6, 3, 2, 2.5), 0.5)):
        own = {count: np.full(4, float(mean)) for count, mean in zip(COUNTS, means, strict=True)}
        found = FlowErrors(
            errors={"predicted": own, "zero": steady}, shuffled=np.ones(4), persons=np.arange(4)
        )
        line = drag_flows.falling_bar(found)
        assert line.value == share and line.passed == (share == 1) and line.control == 0


def test_the_best_baseline_may_be_any():
    errors = {
        name: {FEW: np.full(4, value)}
        for name, value in {
            "predicted": 1.0,
            "zero": 4.0,
            "nearest": 5.0,
            "gaussian": 2.0,
            "thin plate": 3.0,
            "affine": 6.0,
        }.items()
    }
    found = FlowErrors(errors=errors, shuffled=np.full(4, 8.0), persons=np.arange(4))
    best, still = drag_flows.ratio_bars(found)
    assert (best.value, best.control, best.passed) == (0.5, 4.0, True) and "Gaussian RBF 2.00" in best.domain
    assert (still.value, still.control) == (0.25, 2.0)


def test_still_drags_have_no_error_to_measure(drawn):
    still = dataclasses.replace(drawn, flows=0 * drawn.flows)
    line = drag_flows.at_drags_bar(still, still.edits(), still.flows)
    assert line.value is None and not line.passed and "no drag is long enough" in line.domain


def test_distances_of_flat_pictures_are_not_measured(drawn):
    flat = dataclasses.replace(drawn, images=np.full_like(drawn.images, 90))
    found = drag_pictures.distances(flat, flat.edits(), flat.images, flat.images)
    lines = drag_pictures.distance_bars(found)
    assert [line.name for line in lines] == [LEFT, DOUBLED]
    assert all(line.value is None and not line.passed and "texture" in line.domain for line in lines)


def test_distances_are_told_apart_by_the_length_of_the_drag():
    found = drag_pictures.Distances(
        outputs=np.array([1.0, 2, 3, 5]), shuffled=np.array([4.0, 8, 4, 6]), floors=np.zeros(4),
        ceilings=np.array([2.0, 4, 6, 10]), lengths=np.array([2.9, 3.0, 8.0, 20.0]), persons=np.array([0, 0, 1, 1]),
    )  # fmt: skip
    lines = {line.name: line for line in drag_pictures.distance_bars(found)}
    assert lines[LEFT].value == 0.5 and lines[LEFT].control == 1 and lines[DOUBLED].value == 2
    assert [(lines[name].value, lines[name].n) for name in sizes(lines)] == [(1, 1), (2, 1), (4, 1)]
    assert all(lines[name].passed for name in sizes(lines))
    assert [lines[name].domain.endswith("left 0.50") for name in sizes(lines)] == [True] * 3
    idle = dataclasses.replace(found, ceilings=np.zeros(4))
    assert not any("left" in line.domain for line in drag_pictures.size_lines(idle))
    large = dataclasses.replace(found, lengths=np.full(4, 9.0))
    assert [line.name for line in drag_pictures.size_lines(large)] == [
        "drag distance in px of 128, large drags (from 8 px)"
    ]


def test_masks_hold_what_moves_and_where_drags_start(drawn):
    row = 2  # it moves by a pixel, so that many drags start where nothing does
    mask = drag_pictures.edit_mask(drawn, row)
    columns, lines = drawn.drags(row, FEW).source_pixels.T
    assert mask[lines, columns].all() and mask[~drawn.unmoved(row)].all()
    added = mask & drawn.unmoved(row)
    assert added.sum() <= FEW


def test_time_is_taken_of_edits_and_previews(drawn, monkeypatch):
    calls = []

    class Slow:
        def __call__(self, image, drags, aligned, generator):
            calls.append(("edit", len(drags)))

        def preview(self, image, drags, aligned):
            calls.append(("preview", len(drags)))

    clock = iter(range(1000))
    monkeypatch.setattr(drag.time, "perf_counter", lambda: next(clock) / 2)
    edit, preview = drag.seconds_bars(Slow(), drawn, 3)
    assert calls == [("edit", 5)] * 4 + [("preview", 5)] * 10
    assert (edit.value, edit.n, edit.passed) == (0.5, 3, True)
    assert (preview.value, preview.n, preview.passed) == (0.5, 9, False)
    assert "2 CPU threads, 128 px, 5 drags" in edit.domain


def test_lines_without_a_bar_are_neither_passed_nor_missed():
    line = Bar(name="told", value=3.0, bar=bars.NO_BAR, direction="<=", n=2)
    assert line.passed and line.to_json()["bar"] is None
    unmeasured = dataclasses.replace(line, value=math.nan)
    console = Console(file=io.StringIO(), width=160)
    console.print(bars.as_table([line], "t"))
    text = console.file.getvalue()
    assert "told" in text and "pass" not in text and "inf" not in text
    console.print(bars.as_table([unmeasured], "t"))
    assert "FAIL" in console.file.getvalue()


def test_the_task_is_registered(monkeypatch, drawn):
    seen = []
    monkeypatch.setattr(drag, "measure", lambda settings: seen.append(settings) or [])
    assert bars.evaluate("drag", quick=True, model="folder") == [] and seen[0].model == "folder"


def test_arrows_lead_from_sources_to_targets():
    drags = Drags.of([((20, 30), (60, 30))], size=(128, 128))
    drawn = drag_plots.arrows(np.zeros((128, 128, 3), np.uint8), drags)
    assert drawn.shape == (384, 384, 3)
    assert drawn[90, 60].tolist() == list(drag_plots._SOURCE)
    assert drawn[90, 180].tolist() == list(drag_plots._TARGET)
    assert drawn[90, 120].tolist() == list(drag_plots._LINE) and not drawn[120].any()


def test_measure_times_on_the_exam_and_loads_what_it_needs(monkeypatch, drawn, judge, tmp_path):
    drag_standins.write(drag_standins.exam(people=2), tmp_path)
    pipe = toy_drag_pipeline()
    monkeypatch.setattr("pipelines.drag.pipeline.DragPipeline.from_pretrained", lambda model: pipe)
    monkeypatch.setattr(drag.Judge, "bundled", lambda device: judge)
    lines = drag.measure(Settings(data=tmp_path, quick=True, device="cpu"))
    assert [line.name for line in lines[-3:]] == [
        CONTROLS, "seconds for an edit", "seconds for a preview of the flow",
    ]  # fmt: skip
    assert lines[-2].n == 3 and lines[-1].n == 9 and "32 px" in lines[-1].domain
    assert drag_exam.load(tmp_path).people == 2
