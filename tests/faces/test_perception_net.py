from __future__ import annotations

import pytest
import torch

from faces.perception import TASKS, PerceptionNet

TINY = {"size": 32, "widths": (4, 8, 8, 8), "depths": (0, 1, 0, 0), "width": 16, "layers": 1, "heads": 2}


@pytest.fixture
def net() -> PerceptionNet:
    torch.manual_seed(0)
    return PerceptionNet(**TINY).eval()


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_every_task_answers_in_its_kind(net, pictures):
    out = net(pictures)
    assert set(out) == {*TASKS, "landmarks_log_sigma"}
    assert out["landmarks"].shape == (2, 68, 2) and out["landmarks_log_sigma"].shape == (2, 68)
    assert out["landmarks"].min() > 0 and out["landmarks"].max() < 1
    assert out["parsing"].shape == (2, 19, 16, 16)
    for name, (count, kind) in TASKS.items():
        if kind == "values":
            assert out[name].shape == (2, count)


@pytest.mark.parametrize("chosen", [("action_units",), ("expression", "landmarks"), ("parsing",)])
def test_a_task_answers_the_same_alone(net, pictures, chosen):
    everything, alone = net(pictures), net(pictures, chosen)
    assert set(alone) - {"landmarks_log_sigma"} == set(chosen)
    for name in chosen:
        torch.testing.assert_close(alone[name], everything[name], atol=1e-6, rtol=1e-5)


def test_fine_maps_are_of_the_full_size_and_the_rest_stays(net, pictures):
    fine = PerceptionNet(**TINY, fine=4, detail=8).eval()
    missing = fine.load_state_dict(net.state_dict(), strict=False).missing_keys
    assert missing and all(name.startswith("detail.") for name in missing)
    assert fine(pictures)["parsing"].shape == (2, 19, 32, 32)
    torch.testing.assert_close(fine(pictures)["landmarks"], net(pictures)["landmarks"], atol=1e-6, rtol=1e-5)


def test_a_new_task_costs_a_table_and_changes_no_other(net, pictures):
    wider = PerceptionNet(**TINY, tasks={**TASKS, "wrinkles": (3, "values")}).eval()
    missing = wider.load_state_dict(net.state_dict(), strict=False).missing_keys
    assert sorted(missing) == ["bias.wrinkles", "queries.wrinkles"]
    torch.testing.assert_close(wider(pictures)["pose"], net(pictures)["pose"], atol=1e-6, rtol=1e-5)
    assert wider(pictures)["wrinkles"].shape == (2, 3)


def test_gradients_reach_the_picture(net, pictures):
    pictures.requires_grad_()
    net(pictures, ("action_units",))["action_units"].sum().backward()
    assert pictures.grad.abs().sum() > 0


def test_it_is_saved_with_its_tasks(net, pictures, tmp_path):
    net.save(tmp_path)
    again = PerceptionNet.load(tmp_path)
    assert again.config == net.config
    torch.testing.assert_close(again(pictures)["pose"], net(pictures)["pose"], atol=2e-2, rtol=2e-2)


def test_a_reader_needs_the_first_levels_only(pictures):
    tasks = {**TASKS, "action_units": (26, "reader")}
    net = PerceptionNet(**TINY, tasks=tasks, reader=(8, 8, 8, 8)).eval()
    everything = net(pictures)
    assert everything["action_units"].shape == (2, 26)
    net.encoder[2:].requires_grad_(False).apply(lambda layer: setattr(layer, "forward", None))
    alone = net(pictures, ("action_units",))
    assert set(alone) == {"action_units"}
    torch.testing.assert_close(alone["action_units"], everything["action_units"])
