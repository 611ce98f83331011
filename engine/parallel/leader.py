"""Rank 0 of an engine in several processes: what callers have in hand.

All ranks run the same requests through the same loop. Scheduling, drafting and sampling need no message, for they
follow from the requests alone; so rank 0 passes on its calls, and what the clock decides only as a part of them.
"""

import weakref
from collections.abc import Iterator
from collections.abc import Sequence as Sequences
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from engine.core import Engine
from engine.loading import resolve_device
from engine.models.config import read_config
from engine.outputs import RequestOutput
from engine.parallel.followers import Followers
from engine.parallel.group import Group, device_of, open_store
from engine.parallel.layer_part import refuse_uneven
from engine.parallel.messages import Call
from engine.parallel.part import Part
from engine.sampling_params import SamplingParams
from engine.sequence import Sequence
from engine.step_loop import SpecConfigLike


def start(size: int, wishes: dict[str, Any]) -> Engine:
    """Load what `Engine.load` was asked for in `size` processes, of which this is the first."""
    device = device_of(0, size, resolve_device(wishes["device"]))
    refuse_uneven(read_config(Path(wishes["model"])), size)
    store, followers = open_store(size), Followers(size)
    with followers.loading():
        followers.open(wishes, store.port)
        group = Group(store, 0, size, device)
        followers.watch(group)
        engine = LeadingEngine.load(**wishes, shard=Part(group))
    assert isinstance(engine, LeadingEngine)
    engine.lead(followers)
    return engine


class LeadingEngine(Engine):
    """An engine whose calls the followers make too. What only reads is its own."""

    _followers: Followers | None = None
    _is_telling = False

    def lead(self, followers: Followers) -> None:
        """From here on. They end with this engine."""
        self._followers = followers
        weakref.finalize(self, followers.close)

    def close(self) -> None:
        super().close()
        if self._followers is not None:
            self._followers.close()

    def step(self) -> list[RequestOutput]:
        with self._told("step", is_answered=False):
            return super().step()

    def abort_request(self, request_id: str) -> RequestOutput | None:
        with self._told("abort_request", request_id, is_answered=False):
            return super().abort_request(request_id)

    def configure_speculation(self, speculative_config: SpecConfigLike) -> None:
        with self._told("configure_speculation", speculative_config):
            super().configure_speculation(speculative_config)

    def forget_drafts(self) -> None:
        with self._told("forget_drafts"):
            super().forget_drafts()

    def reset(self) -> None:
        with self._told("reset"):
            super().reset()

    def remember(self, responses: Sequences[Sequences[int]]) -> None:
        with self._told("remember", responses):
            super().remember(responses)

    def warm_up(self, max_batch: int | None = None) -> None:
        with self._told("warm_up", max_batch):
            super().warm_up(max_batch)

    def next_token_scores(
        self,
        token_ids: Sequences[int],
        sampling_params: SamplingParams,
        position: int,
        num_prompt_tokens: int | None = None,
    ) -> Tensor:
        with self._told("next_token_scores", token_ids, sampling_params, position, num_prompt_tokens):
            return super().next_token_scores(token_ids, sampling_params, position, num_prompt_tokens)

    def _queue(self, sequence: Sequence) -> None:
        """The sequence goes over as it is: when it came and what keys its noise were settled here."""
        with self._told("_queue", sequence):
            super()._queue(sequence)

    def _must_be_idle(self, what: str) -> None:
        """Nor have ended, which would be the reason that requests are left."""
        if self._followers is not None:
            self._followers.refuse_if_ended()
        super()._must_be_idle(what)

    @contextmanager
    def _told(self, name: str, *arguments: Any, is_answered: bool = True) -> Iterator[None]:
        """Tell it first, then do it. What a call calls in turn is told by it already."""
        if self._followers is None or self._is_telling:
            yield
            return
        self._is_telling = True
        try:
            with self._followers.told(Call(name, arguments, self.progress, is_answered)):
                yield
        finally:
            self._is_telling = False
