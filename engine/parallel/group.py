"""What the processes of one engine say to each other inside a step: sums and concatenations of tensors."""

import socket
from contextlib import suppress
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed import distributed_c10d as c10d

from engine.errors import ConfigError, EngineError

HOST = "127.0.0.1"
# Of a single exchange. An end of a process is noticed at once; this is for one that lives and does not come.
PATIENCE = timedelta(minutes=10)


class Disconnected(EngineError):
    """An exchange with another process did not come about: that one has ended, or does not come."""


def device_of(rank: int, size: int, device: torch.device) -> torch.device:
    """The GPU of a rank, or the CPU that all share; ConfigError where there are not enough GPUs."""
    if device.type != "cuda":
        return device
    if device.index is not None:
        raise ConfigError(f"device={device} is one GPU and tensor_parallel_size={size} takes as many: give device=cuda")
    if size > torch.cuda.device_count():
        raise ConfigError(f"tensor_parallel_size={size} is above the {torch.cuda.device_count()} GPUs that torch sees")
    return torch.device("cuda", rank)


def open_store(size: int, port: int = 0) -> dist.TCPStore:
    """Where the processes find each other; without a port the meeting place itself, on a free one that only this
    machine reaches.
    """
    if port:
        return dist.TCPStore(HOST, port, size, timeout=PATIENCE, wait_for_workers=False)
    listening = socket.create_server((HOST, 0))
    port, handle = listening.getsockname()[1], listening.detach()
    return dist.TCPStore(HOST, port, size, True, PATIENCE, wait_for_workers=False, master_listen_fd=handle)


class Group:
    """`size` processes, of which this is `rank`: NCCL where each has a GPU, else gloo.

    It is apart from torch's default group, so that a process may have several and the caller's own besides.
    """

    def __init__(self, store: dist.Store, rank: int, size: int, device: torch.device):
        self.rank, self.size, self.device = rank, size, device
        self.backend = "nccl" if device.type == "cuda" else "gloo"
        if device.type == "cuda":
            torch.cuda.set_device(device)
        with _Exchange():
            self._backend: Any = (_nccl if self.backend == "nccl" else _gloo)(store, rank, size)
        self._store: dist.Store | None = store  # lives as long as the group

    def add_up(self, x: Tensor) -> Tensor:
        """x, changed in place to the sum over all processes; every process gets the same bits."""
        self._reduce(x, dist.ReduceOp.SUM)
        return x

    def join(self, x: Tensor) -> Tensor:
        """[rows, n] of every process -> [rows, size * n], by rank."""
        rows, width = x.shape
        parts = x.new_empty(self.size * rows, width)
        if x.numel():
            options = c10d.AllgatherOptions()
            options.asyncOp = False
            with _Exchange():
                _wait(self._backend._allgather_base(parts, x.contiguous(), options))
        return parts.view(self.size, rows, width).transpose(0, 1).reshape(rows, self.size * width)

    def least(self, value: int) -> int:
        """The smallest of what the processes give."""
        found = torch.tensor([value], device=self.device)
        self._reduce(found, dist.ReduceOp.MIN)
        return int(found)

    def told(self, values: list[int] | None, count: int) -> list[int]:
        """`count` numbers of rank 0, who alone gives them."""
        return self.add_up(torch.tensor(values or [0] * count, device=self.device)).tolist()

    def close(self) -> None:
        """Let go of the sockets and threads, which at the end of Python would be too late."""
        self.abort()
        self._backend = self._store = None

    def abort(self) -> None:
        """Let go of an exchange that cannot end: NCCL's kernels wait for a dead process forever."""
        if self.backend == "nccl" and self._backend is not None:
            with suppress(RuntimeError):
                self._backend.abort()

    def _reduce(self, x: Tensor, how: Any) -> None:
        options = c10d.AllreduceOptions()
        options.reduceOp, options.asyncOp = how, False
        with _Exchange():
            _wait(self._backend.allreduce([x], options))


def _wait(work: Any) -> None:
    """NCCL has nothing to wait for: what is not asynchronous runs on the current stream."""
    if work is not None:
        work.wait()


class _Exchange:
    """Around an exchange: what torch raises there, as Disconnected."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError):
            raise Disconnected(f"an exchange between processes failed: {' '.join(str(error).split())}") from error


def _gloo(store: dist.Store, rank: int, size: int) -> Any:
    gloo: Any = dist.ProcessGroupGloo
    options = gloo._Options()
    options._devices = [gloo.create_device(hostname=HOST)]
    options._timeout = PATIENCE
    return gloo(store, rank, size, options)


def _nccl(store: dist.Store, rank: int, size: int) -> Any:
    options = dist.ProcessGroupNCCL.Options()
    options._timeout = PATIENCE
    return dist.ProcessGroupNCCL(store, rank, size, options)
