"""MTP modules over pairs of a token and a state: z = fuse([norm(embed(x_{i+1})), norm(h_i)]), block, norm, head.

Module 0 reads the target's state h_i, after the final norm in most families; module k reads module k - 1's output at
the same position and the token one further on, and keeps keys and values of its own.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.detection import mtp_modules
from engine.drafting.host import Host
from engine.errors import ConfigError
from engine.models.attention import Span
from engine.models.config import read_raw_config
from engine.models.decoder import FINAL, TargetOutput
from engine.models.kv_cache import KVCache
from engine.models.linear import build_linear
from engine.models.mtp.reader import Block, MtpReader
from engine.models.stack import Short


class MtpNetwork:
    """All modules of a folder. As a head network it is its first module."""

    def __init__(self, folder: Path, host: Host):
        raw = read_raw_config(folder)
        reader, count = MtpReader(folder, raw, host), mtp_modules(raw)
        if not count:
            raise ConfigError(f"{folder} holds no MTP modules: its config.json gives no num_nextn_predict_layers")
        self.is_native = reader.family.published is None  # its blocks are layers of our own
        self.taps = (FINAL if reader.family.reads == "normed" else host.target.config.num_layers,)
        self.config, blocks = reader.blocks(count, host)
        self.modules = [MtpModule(reader, k, block, host) for k, block in enumerate(blocks)]
        reader.finish(count)
        self.logits, self.best, self.forward = self.modules[0].logits, self.modules[0].best, self.modules[0].forward

    def condition(self, output: TargetOutput) -> Tensor:
        """[rows, H] what pairs take from the target."""
        return output.taps[self.taps[0]]


class MtpModule:
    """One module; what its family declares is settled here."""

    def __init__(self, reader: MtpReader, k: int, block: Block, host: Host):
        family, decoder, hidden = reader.family, host.target.decoder, host.target.config.hidden_size
        self._block, self._hidden_first, self._zero_first = block, family.hidden_first, family.zero_first
        self._token_norm, self._hidden_norm = reader.norm(family.token_norm, k), reader.norm(family.hidden_norm, k)
        self._last_norm = reader.norm(family.last_norm, k) if family.last_norm else _as_it_is
        self._feeds_normed = family.feedback == "normed"
        fuse = reader.take(family.fuse, k, hidden, 2 * hidden)
        self._fuse = build_linear(fuse, None, host.product_for([fuse]))
        embeddings, head = reader.own_table(family.embeddings, k), reader.own_table(family.head, k)
        self._embeddings = decoder.embeddings if embeddings is None else embeddings
        self._head = decoder.head if head is None else build_linear(head, None, host.product_for([head]))

    def forward(self, tokens: Tensor, hidden: Tensor, short: Short, long: Sequence[Span], cache: KVCache) -> Tensor:
        """tokens [R], hidden [R, H] -> [R, H], for `logits` and as the hidden state of what follows."""
        embedded, hidden = self._token_norm(self._embeddings.index_select(0, tokens)), self._hidden_norm(hidden)
        if self._zero_first and (first := _rows_at_zero(short, long)):
            embedded[first] = 0.0  # as if the embedding were zero, whose norm is zero
        halves = [hidden, embedded] if self._hidden_first else [embedded, hidden]
        x = self._block(self._fuse(torch.cat(halves, -1)), short, long, cache)
        return self._last_norm(x) if self._feeds_normed else x

    def best(self, output: Tensor) -> Tensor:
        """[R, H] -> [R] the likeliest token."""
        return self.logits(output).argmax(-1)

    def logits(self, output: Tensor) -> Tensor:
        """[R, H] -> [R, V]."""
        return self._head(output if self._feeds_normed else self._last_norm(output)).float()


def _rows_at_zero(short: Short, long: Sequence[Span]) -> list[int]:
    """The rows that are at position 0 of their sequence: none of those that decode in fixed shapes."""
    if not isinstance(short, Sequence):
        return []
    rows, row = [], 0
    for span in (*short, *long):
        if span.positions[0] == 0:  # the nodes of a tree are at later ones
            rows.append(row)
        row += span.length
    return rows


def _as_it_is(x: Tensor) -> Tensor:
    return x
