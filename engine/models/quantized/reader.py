"""A quantized checkpoint under the names of an unquantized one: matrices are expanded as they are taken."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import ConfigError
from engine.models.loader import STANDARD, Weights, place
from engine.models.quantized.stored import Stored
from engine.models.quantized.unpacking import Codes, unpack_awq, unpack_gptq
from engine.models.tensor_files import Part


class QuantizedWeights(Weights):
    """See Weights. `X.weight` is there where the file holds `X.qweight`, or `X.weight` with `X.weight_scale_inv`."""

    def __init__(self, folder: Path, stored: Stored, files: Sequence[str] = STANDARD, strip: Sequence[str] = ()):
        super().__init__(folder, files, strip)
        self.stored = stored
        last = ".weight_scale_inv" if stored.method == "fp8" else ".qweight"
        self._modules = {name.removesuffix(last) for name in self._homes if name.endswith(last)}

    def names(self) -> list[str]:
        parts = (".qweight", ".qzeros", ".scales", ".g_idx", ".weight_scale_inv")
        plain = {name for name in self._homes if not name.endswith(parts)}
        return sorted(plain | {f"{module}.weight" for module in self._modules})

    def has(self, name: str) -> bool:
        return self.is_quantized(name) or super().has(name)

    def is_quantized(self, name: str) -> bool:
        """Whether the matrix `name` is stored in few bits."""
        return name.endswith(".weight") and name.removesuffix(".weight") in self._modules

    def shape(self, name: str) -> tuple[int, ...]:
        if not self.is_quantized(name) or self.stored.method == "fp8":
            return super().shape(name)
        rows, columns = super().shape(name.removesuffix("weight") + "qweight")
        per_word = 32 // self.stored.bits
        return (columns, rows * per_word) if self.stored.method == "gptq" else (columns * per_word, rows)

    def take(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        part: Part | None = None,
        into: Tensor | None = None,
    ) -> Tensor:
        """See Weights.take; a matrix in few bits is expanded on the device."""
        if not self.is_quantized(name):
            return super().take(name, shape, dtype, device, part, into)
        self.check_shape(name, shape)
        whole = self._from_blocks(name, device) if self.stored.method == "fp8" else self.codes(name, device).expanded()
        return place(whole if part is None else whole[part], dtype, device, into)

    def codes(self, name: str, device: torch.device) -> Codes:
        """The codes of a matrix of AWQ or GPTQ."""
        module, stored = name.removesuffix(".weight"), self.stored
        width = self.shape(name)[1]
        size = width if stored.group_size == -1 else stored.group_size
        groups = self._groups(module, device, torch.arange(width, device=device) // size)
        weight, zeros = (self._raw(f"{module}.{part}", torch.int32, device) for part in ("qweight", "qzeros"))
        scales = self._raw(f"{module}.scales", torch.float32, device)
        if len(scales) <= int(groups.max()) or int(groups.min()) < 0:
            raise ConfigError(f"{module} in {self.folder} has {len(scales)} groups, too few for group_size={size}")
        if stored.method == "awq":
            return unpack_awq(weight, zeros, scales, groups)
        return unpack_gptq(weight, zeros, scales, groups, stored.bits, stored.layout == "gptq")

    def has_neighbouring_groups(self, name: str) -> bool:
        """Whether the groups of a matrix of AWQ or GPTQ are neighbouring inputs, in their order."""
        device = torch.device("cpu")
        plain = torch.arange(self.shape(name)[1]) // self.stored.group_size
        return torch.equal(self._groups(name.removesuffix(".weight"), device, plain), plain)

    def finish(self, skips: tuple[str, ...] = (), within: tuple[str, ...] = ("",)) -> None:
        """See Weights.finish. GPTQ's tools write a bias of zeros for layers that have none."""
        for bias in [name for name in self._left if name.endswith(".bias") and name[:-5] in self._modules]:
            if not self._home(bias)[0].read(self._home(bias)[1]).any():
                self._left.discard(bias)
        super().finish(skips, within)

    def _groups(self, module: str, device: torch.device, plain: Tensor) -> Tensor:
        """[in] the group of every input: as the file says, else `plain`."""
        name = f"{module}.g_idx"
        return self._raw(name, torch.int64, device) if super().has(name) else plain

    def _raw(self, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
        return super().take(name, super().shape(name), dtype, device)

    def _from_blocks(self, name: str, device: torch.device) -> Tensor:
        """weight_scale_inv [rows / block, columns / block], rounded up, multiplies the weights of its block."""
        weight = self._raw(name, torch.float32, device)
        scales = self._raw(name + "_scale_inv", torch.float32, device)
        rows, columns = self.stored.block
        wide = scales.repeat_interleave(rows, 0)[: weight.shape[0]].repeat_interleave(columns, 1)
        return weight.mul_(wide[:, : weight.shape[1]])
