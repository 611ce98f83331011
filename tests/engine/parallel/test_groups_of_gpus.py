"""What only GPUs run, against stand-ins: which GPU is whose, how NCCL is asked, and that it is let go of."""

import inspect
from types import SimpleNamespace

import pytest
import torch
from torch import distributed as dist

from engine.core import Engine
from engine.errors import ConfigError
from engine.parallel.followers import Followers
from engine.parallel.group import PATIENCE, Disconnected, Group, device_of, open_store
from engine.parallel.leader import LeadingEngine

READ_ONLY = {"environment", "read_metrics", "serve_metrics", "has_unfinished_requests"}
MADE_OF_OTHERS = {"add_request", "generate", "load"}  # of _queue and step


class Nccl:
    """Two processes that hold the same; exchanges are done when they return, as those on a stream seem to be."""

    class Options:
        _timeout = None

    def __init__(self, store, rank, size, options):
        assert options._timeout == PATIENCE
        self.is_aborted, self.is_broken = False, False

    def allreduce(self, tensors, options):
        assert not options.asyncOp
        if self.is_broken:
            raise dist.DistBackendError("unhandled system error")
        if options.reduceOp == dist.ReduceOp.SUM:
            tensors[0].mul_(2)

    def _allgather_base(self, parts, x, options):
        assert not options.asyncOp
        parts.copy_(torch.cat([x, x]))

    def abort(self):
        self.is_aborted = True


@pytest.fixture
def group(monkeypatch):
    chosen = []
    monkeypatch.setattr(dist, "ProcessGroupNCCL", Nccl, raising=False)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    group = Group(open_store(1), 0, 2, torch.device("cuda", 0))
    assert chosen == [torch.device("cuda", 0)]
    group.device = torch.device("cpu")  # where its tensors are here
    return group


def test_exchanges_stay_on_the_stream(group):
    assert group.backend == "nccl"
    assert group.add_up(torch.ones(2)).tolist() == [2.0, 2.0]
    assert group.join(torch.tensor([[1, 2], [3, 4]])).tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]
    assert group.join(torch.empty(0, 3)).shape == (0, 6)
    assert group.least(1) == 1


def test_what_nccl_raises_is_a_lost_process(group):
    group._backend.is_broken = True
    with pytest.raises(Disconnected, match="an exchange between processes failed: unhandled system error"):
        group.add_up(torch.ones(1))


def test_a_dead_process_and_the_end_break_exchanges_off(group, monkeypatch):
    backend = group._backend
    dead = SimpleNamespace(process=SimpleNamespace(poll=lambda: -9))
    followers = Followers(1)
    followers._all = [dead]
    monkeypatch.setattr("engine.parallel.followers.LOOK", 0.0)
    followers._watch(group)
    assert backend.is_aborted
    assert followers._is_lost.is_set()
    backend.is_aborted = False
    group.close()
    assert backend.is_aborted
    group.close()


def test_every_rank_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cuda = torch.device("cuda")
    assert [device_of(rank, 2, cuda) for rank in (0, 1)] == [torch.device("cuda", 0), torch.device("cuda", 1)]
    with pytest.raises(ConfigError, match="tensor_parallel_size=4 is above the 2 GPUs that torch sees"):
        device_of(0, 4, cuda)
    with pytest.raises(ConfigError, match="device=cuda:1 is one GPU and tensor_parallel_size=2 takes as many"):
        device_of(0, 2, torch.device("cuda", 1))


def test_every_call_that_changes_an_engine_is_passed_on():
    public = {name for name, value in inspect.getmembers(Engine, callable) if not name.startswith("_")}
    assert public - READ_ONLY - MADE_OF_OTHERS <= vars(LeadingEngine).keys()
