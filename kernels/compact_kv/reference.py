"""Plain torch: the specification of the kernel."""

from collections.abc import Sequence

import torch
from torch import Tensor


def compact(layers: Sequence[Tensor], source: Tensor, goal: Tensor, counts: Tensor) -> None:
    """In every layer [rows, width] the rows source[b, :counts[b]] become the rows goal[b, :counts[b]], in place.

    source and goal are [batch, max_path]; what lies beyond counts [batch] is not looked at. A path may overlap itself
    in any way; the rows of different paths must not meet.
    """
    within = torch.arange(source.shape[1], device=source.device) < counts[:, None]
    taken, given = source[within].long(), goal[within].long()
    for layer in layers:
        layer[given] = layer[taken]
