"""The layouts of AWQ and GPTQ: codes in words of 32 bits.

GPTQ   qweight [in * bits / 32, out], the first input in the lowest bits; qzeros [groups, out * bits / 32];
       g_idx [in] is the group of every input. The first layout stores zeros less one.
AWQ    qweight [in, out / 8], qzeros [groups, out / 8]: output 8j + ORDER[i] is in the i-th four bits of word j.

Both: scales [groups, out], and weight[o, i] = (code - zero) * scale.
"""

from typing import NamedTuple

import torch
from torch import Tensor

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


class Codes(NamedTuple):
    """codes [out, in] and zeros [out, groups] uint8, scales [out, groups], group [in] of every input."""

    codes: Tensor
    zeros: Tensor
    scales: Tensor
    group: Tensor

    def expanded(self) -> Tensor:
        """[out, in] fp32."""
        scales = self.scales.float()[:, self.group]
        return (self.codes.float() - self.zeros.float()[:, self.group]).mul_(scales)


def unpack_gptq(
    qweight: Tensor, qzeros: Tensor, scales: Tensor, group: Tensor, bits: int, zeros_less_one: bool
) -> Codes:
    """Zeros wrap round, as in the code that packs them."""
    zeros = (_columns(qzeros, bits) + int(zeros_less_one)) & (2**bits - 1)
    return Codes(_columns(qweight.T, bits), zeros.T, scales.T, group)


def unpack_awq(qweight: Tensor, qzeros: Tensor, scales: Tensor, group: Tensor) -> Codes:
    return Codes(_awq_columns(qweight).T, _awq_columns(qzeros).T, scales.T, group)


def _columns(words: Tensor, bits: int) -> Tensor:
    """[rows, words] int32 -> [rows, words * 32 / bits] uint8, lowest bits first."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32, device=words.device)
    return ((words[:, :, None] >> shifts) & (2**bits - 1)).to(torch.uint8).flatten(1)


def _awq_columns(words: Tensor) -> Tensor:
    places = torch.tensor(AWQ_ORDER, device=words.device).argsort()
    return _columns(words, 4).view(len(words), -1, 8)[:, :, places].flatten(1)
