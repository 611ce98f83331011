"""The operator `torch.ops.spectune.draft_inputs`."""

import torch
from torch import Tensor

from kernels.draft_inputs import reference

Nine = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@torch.library.custom_op("spectune::draft_inputs", mutates_args=())
def draft_inputs(
    paths: Tensor, emitted: Tensor, num_accepted: Tensor, starts: Tensor, slots: Tensor, num_rows: int, slot_len: int
) -> Nine:
    """The fields of reference.DraftInputs."""
    given = (paths, emitted, num_accepted, starts, slots, num_rows, slot_len)
    if emitted.device.type == "cpu":
        return reference.draft_inputs(*given)
    from kernels.draft_inputs import triton

    return triton.draft_inputs(*given)


@draft_inputs.register_fake
def _(
    paths: Tensor, emitted: Tensor, num_accepted: Tensor, starts: Tensor, slots: Tensor, num_rows: int, slot_len: int
) -> Nine:
    batch, width = emitted.shape
    wide = [emitted.new_empty(batch, width) for _ in range(4)]
    return reference.DraftInputs(*wide, *(emitted.new_empty(batch) for _ in range(5)))
