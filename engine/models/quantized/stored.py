"""How a checkpoint stores its matrices, by the quantization_config of its config.json: AWQ, GPTQ, fp8 in blocks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ConfigError

METHODS = ("awq", "gptq", "fp8")
BITS = {"awq": (4,), "gptq": (2, 4, 8)}
LAYOUTS = {"awq": ("gemm",), "gptq": ("gptq", "gptq_v2")}


@dataclass(frozen=True, slots=True)
class Stored:
    """group_size is how many inputs of an output share a scale, -1: all of them; block is [rows, columns] of fp8."""

    method: str
    bits: int
    group_size: int = -1
    layout: str = ""
    block: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        if self.method == "fp8":
            return f"fp8 in blocks of {self.block[0]} x {self.block[1]}"
        groups = "a scale an output" if self.group_size == -1 else f"groups of {self.group_size}"
        return f"{self.method}, {self.bits} bits, {groups}"


def read_stored(raw: Mapping[str, Any], source: str | Path) -> Stored | None:
    """None where config.json says nothing of quantization; ConfigError for what cannot be read."""
    given = raw.get("quantization_config")
    if not given:
        return None
    method = str(given.get("quant_method"))
    if method == "fp8":
        return _blocks(given, source)
    if method not in METHODS:
        raise ConfigError(
            f"{source} is quantized ({method}), which cannot be read here: {', '.join(METHODS)}, or give it unquantized"
        )
    bits, group = given.get("bits"), given.get("group_size", 128)
    layout = str(given.get("checkpoint_format" if method == "gptq" else "version") or given.get("format") or "").lower()
    layout = layout or LAYOUTS[method][0]
    _refuse(source, method, "bits", bits, BITS[method])
    _refuse(source, method, "format", layout, LAYOUTS[method])
    if group != -1 and (not isinstance(group, int) or group < 1):
        raise ConfigError(f"{source} is quantized ({method}) with group_size={group!r}: -1 or a count of inputs")
    if method == "awq":
        _refuse(source, method, "zero_point", given.get("zero_point", True), (True,))
    return Stored(method, bits, group, layout)


def _blocks(given: Mapping[str, Any], source: str | Path) -> Stored:
    block, kind = given.get("weight_block_size"), given.get("fmt", "e4m3")
    _refuse(source, "fp8", "fmt", kind, ("e4m3",))
    if not (isinstance(block, list | tuple) and len(block) == 2 and all(isinstance(n, int) and n > 0 for n in block)):
        raise ConfigError(f"{source} is quantized (fp8) with weight_block_size={block!r}: two counts are needed")
    return Stored("fp8", 8, block=(block[0], block[1]))


def _refuse(source: str | Path, method: str, name: str, value: object, allowed: tuple) -> None:
    if value not in allowed:
        raise ConfigError(
            f"{source} is quantized ({method}) with {name}={value!r}, which cannot be read here: "
            + ", ".join(map(str, allowed))
        )
