"""Orthogonalisation brings singular values near one and keeps the singular vectors."""

import pytest
import torch

from engine.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 24, 8), (2, 8, 24)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_a_stack_is_treated_matrix_by_matrix():
    torch.manual_seed(0)
    stack = torch.randn(4, 8, 12)
    alone = torch.stack([orthogonalise(matrix[None])[0] for matrix in stack])
    assert torch.allclose(orthogonalise(stack), alone, atol=1e-5)


def test_it_goes_downhill():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(1, 6, 4))
    goal = torch.randn(1, 6, 4)
    optimizer = Muon([weight], lr=0.05)
    losses = []
    for _ in range(60):
        loss = (weight - goal).square().sum()
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.1 * losses[0]
