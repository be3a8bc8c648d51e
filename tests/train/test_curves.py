from __future__ import annotations

import json

import pytest

from train.curves import draw


@pytest.fixture
def run(tmp_path):
    rows = [{"step": step, "kind": "train", "loss": 1 / step} for step in (1, 2, 4)]
    rows += [{"step": 4, "kind": "validate", "loss": 0.3, "eer": 0.1}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


def test_training_is_a_line_and_validation_dots(run):
    (axes,) = draw([(run, ["loss", "eer"])]).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines == {
        "loss": [[1, 1], [2, 0.5], [4, 0.25]],
        "loss, held out": [[4, 0.3]],
        "eer, held out": [[4, 0.1]],
    }


def test_unknown_metric_names_the_logged_ones(run):
    with pytest.raises(ValueError, match="no metric 'lost'; logged: eer, loss"):
        draw([(run, ["lost"])])
