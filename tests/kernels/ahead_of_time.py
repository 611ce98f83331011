"""`python ahead_of_time.py MODULE FUNCTION CAPABILITY...`: compile what FUNCTION launches; the last line is JSON.

A launch is recorded instead of run: the arguments it would have been compiled for, as triton itself would bind them.
Compiling needs no GPU: the compiler and ptxas come with triton.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

TYPES = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float8_e4m3fn: "fp8e4nv",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.int16: "i16",
    torch.int32: "i32",
    torch.int64: "i64",
    torch.bool: "i1",
}
DIVISIBLE = [["tt.divisibility", 16]]
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"


class Launch(NamedTuple):
    source: ASTSource
    options: dict[str, Any]


class Bound(NamedTuple):
    """How an argument enters the compilation: its type, a constant instead, and whether it is divisible by 16."""

    type: str
    constant: Any = None
    divisible: bool = False


def bind(value: object, is_constexpr: bool) -> Bound:
    """triton's own rules: None and 1 become constants; a pointer is taken to be aligned, as torch's allocations are."""
    if is_constexpr or value is None or (type(value) is int and value == 1):
        return Bound("constexpr", value)
    if isinstance(value, torch.Tensor):
        offset = value.storage_offset() * value.element_size()
        return Bound("*" + TYPES[value.dtype], divisible=offset % 16 == 0)
    if isinstance(value, bool):
        return Bound("i1")
    if isinstance(value, int):
        return Bound("i32" if -(2**31) <= value < 2**31 else "i64", divisible=value % 16 == 0)
    assert isinstance(value, float), f"a kernel argument of type {type(value)}"
    return Bound("fp32")


def recorded(kernel: JITFunction, args: tuple[object, ...], kwargs: dict[str, object]) -> Launch:
    names = [param.name for param in kernel.params]
    values = dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in names if name in kwargs}
    bound = {param.name: bind(values.get(param.name, param.default), param.is_constexpr) for param in kernel.params}
    source = ASTSource(
        fn=kernel,
        signature={name: one.type for name, one in bound.items()},
        constexprs={(i,): one.constant for i, one in enumerate(bound.values()) if one.type == "constexpr"},
        attrs={(i,): DIVISIBLE for i, one in enumerate(bound.values()) if one.divisible},
    )
    return Launch(source, {name: value for name, value in kwargs.items() if name not in names})


def launches_of(path: str, function: str) -> list[Launch]:
    """Call the function with every kernel launch recorded; launches alike are compiled once."""
    launches: dict[str, Launch] = {}

    def record(kernel: JITFunction, *args: object, grid: object, warmup: bool, **kwargs: object) -> None:
        launch = recorded(kernel, args, kwargs)
        launches[f"{launch.source.hash()} {sorted(launch.options.items())}"] = launch

    JITFunction.run = record
    sys.path.insert(0, str(Path(path).parent))
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    getattr(module, function)()
    return list(launches.values())


def compiled(launch: Launch, capability: int) -> list[object]:
    target = GPUTarget("cuda", capability, 32)
    kernel = triton.compile(launch.source, target=target, options=launch.options)
    names = launch.source.fn.arg_names
    constants = ", ".join(f"{names[key[0]]}={value}" for key, value in launch.source.constants.items())
    use = resource_use(kernel.asm["cubin"])
    return [launch.source.name, capability, constants, kernel.metadata.shared, use["REG"], use["STACK"]]


def resource_use(cubin: bytes) -> dict[str, int]:
    """REG: registers a thread; STACK: bytes a thread, spills included."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    pairs = (word.split(":") for word in text.split() if ":" in word)
    return {name: int(value) for name, value in pairs if value.isdigit()}


if __name__ == "__main__":
    found = launches_of(sys.argv[1], sys.argv[2])
    assert found, "nothing was launched"
    print(json.dumps([compiled(launch, int(capability)) for launch in found for capability in sys.argv[3:]]))
