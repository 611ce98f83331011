"""The operator `torch.ops.spectune.verify`."""

import torch
from torch import Tensor

from kernels.verify import reference


@torch.library.custom_op("spectune::verify", mutates_args=())
def verify(
    logits: Tensor,
    tokens: Tensor,
    parents: Tensor,
    counts: Tensor,
    temperatures: Tensor,
    seeds: Tensor,
    positions: Tensor,
    max_depth: int,
    q: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """paths, emitted, num_accepted: see reference.verify."""
    step = (logits, tokens, parents, counts, temperatures, seeds, positions, max_depth, q)
    if logits.device.type == "cpu":
        paths, emitted, num_accepted = reference.verify(*step)
        return paths, emitted, num_accepted
    from kernels.verify import triton

    paths, emitted, num_accepted = triton.verify(*step)
    return paths, emitted, num_accepted


@verify.register_fake
def _(
    logits: Tensor,
    tokens: Tensor,
    parents: Tensor,
    counts: Tensor,
    temperatures: Tensor,
    seeds: Tensor,
    positions: Tensor,
    max_depth: int,
    q: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    batch = logits.shape[0]
    paths, emitted = counts.new_empty(batch, max_depth), counts.new_empty(batch, max_depth + 1)
    return paths, emitted, counts.new_empty(batch)
