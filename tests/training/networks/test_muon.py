# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from lars_plugin.errors import InputError
from lars_plugin.networks.bandunet.network import BandUNet, BandUNetConfig
from lars_plugin.training.networks.losses import band_loss
from lars_plugin.training.networks.muon import Muon, make_optimizer, orthogonalised
from lars_plugin.training.networks.trainer import Trainer
from tests.models import QUICK_BANDUNET
from tests.training.networks.test_fit import config

SMALL = BandUNetConfig(**QUICK_BANDUNET)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_singular_values_become_one_and_singular_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    result = orthogonalised(matrix)
    assert result.shape == matrix.shape
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.T @ result @ v.T
    assert (inner - torch.diag(inner.diagonal())).abs().max() < 1e-4


def test_small_singular_values_are_raised_zeros_stay_and_the_matrix_is_not_changed() -> None:
    torch.manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(6, 6))[0] for _ in range(2))
    matrix = u @ torch.diag(torch.tensor([1, 0.3, 0.1, 0.03, 0.01, 0.004])) @ v
    before = matrix.clone()
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert torch.equal(matrix, before)
    assert 0.6 < values.min() <= values.max() < 1.3
    assert not orthogonalised(torch.zeros(3, 5)).any()


def test_an_update_has_a_fifth_of_the_rate_and_takes_the_weight_decay_away() -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(8, 3, 4, requires_grad=True), torch.randn(8, requires_grad=True)
    before = weight.detach().clone()
    optimizer = Muon([weight], [bias], lr=1e-2, weight_decay=0.5)
    weight.grad = torch.randn(8, 3, 4)  # and the bias has none
    kept = bias.detach().clone()
    optimizer.step()
    change = (weight - before * (1 - 1e-2 * 0.5)).square().mean().sqrt().item()
    assert change == pytest.approx(0.2e-2, rel=0.2)
    assert torch.equal(bias, kept)


def test_what_muon_cannot_update_is_refused() -> None:
    vector, matrix = torch.zeros(3, requires_grad=True), torch.zeros(3, 3, requires_grad=True)
    with pytest.raises(InputError, match="matrices only"):
        Muon([vector], [matrix], lr=1e-3)
    with pytest.raises(InputError, match="momentum"):
        Muon([matrix], [vector], lr=1e-3, momentum=1.0)
    with pytest.raises(InputError, match="unknown optimizer 'sgd': use one of adamw, muon"):
        make_optimizer("sgd", BandUNet(SMALL), lr=1e-3, weight_decay=0)


def test_all_parameters_are_updated_once_and_convolutions_by_one_size() -> None:
    torch.manual_seed(0)
    network = BandUNet(SMALL)
    optimizer = make_optimizer("muon", network, lr=1e-3, weight_decay=0.0)
    assert isinstance(optimizer, Muon)
    known = [id(one) for group in optimizer.param_groups for one in group["params"]]
    assert sorted(known) == sorted(map(id, network.parameters()))
    before = {name: value.clone() for name, value in network.named_parameters()}
    loss, _ = band_loss(network, torch.randn(2, 6, 2, 4096), 0.3, 1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    for name, value in network.named_parameters():
        assert not torch.equal(value, before[name]), name
    name = "encoder.0.0.first.0.weight"
    change = network.get_parameter(name) - before[name]
    # The root mean square of an update of AdamW is of the size of the rate too.
    assert 0.1e-3 < change.square().mean().sqrt().item() < 0.4e-3


def test_muon_raises_the_sdr_on_one_batch() -> None:
    torch.manual_seed(0)
    network = BandUNet(SMALL)
    optimizer = make_optimizer("muon", network, lr=1e-2, weight_decay=0.01)
    tone = torch.sin(torch.arange(8192) * 0.05).expand(1, 1, 2, -1)
    stems = torch.cat([tone, 0.3 * torch.randn(1, 1, 2, 8192), torch.zeros(1, 4, 2, 8192)], dim=1)
    scores = []
    for _ in range(40):
        loss, score = band_loss(network, stems, 0.3, 1.0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scores.append(score[:2].mean().item())
    assert scores[-1] > scores[0] + 5


def test_a_run_resumes_with_its_momentum_and_with_another_optimizer(
    data: Any, tmp_path: Path
) -> None:
    muon = dataclasses.replace(config(data, 0.02), optimizer="muon")
    first = Trainer(BandUNet(SMALL), muon, tmp_path)
    first.run()
    again = Trainer(BandUNet(SMALL), muon, tmp_path)
    weight = again.network.get_parameter("hidden.0.weight")
    assert again.optimizer.state[weight]["momentum"].abs().max() > 0
    lines: list[str] = []
    other = Trainer(BandUNet(SMALL), config(data, 0.02), tmp_path, lines.append)
    assert other.step == first.step
    assert any("momentum" in line for line in lines)
