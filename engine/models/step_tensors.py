"""The numbers of a step, laid out as the fused operators take them, and brought to the device in one copy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.attention import Group, Span
from engine.tree.masks import num_words, words_of


class DecodingRows(NamedTuple):
    """The short spans of a step, padded to [batch, q_len]. See kernels/tree_attention for slots to masks.

    slots     [batch, 1], the table: a slot is one block
    prefix    [batch]
    lengths   [batch]
    masks     [batch, q_len, words]; None: chains
    pad       [batch * q_len] the step's row at every padded place; None: dense
    unpad     [num_rows] the padded place of every row; None: dense
    """

    num_rows: int
    q_len: int
    slots: Tensor
    prefix: Tensor
    lengths: Tensor
    masks: Tensor | None
    pad: Tensor | None
    unpad: Tensor | None


class FusedStep(NamedTuple):
    """The rows of a step, decoding ones first.

    places     [rows] where a row's key and value go: slot * slot_len + row in the slot
    positions  [rows]
    rotations  [all positions, D/2] complex
    decoding   None: there are only prompt chunks
    prompts    their rows are counted from the first chunk on
    """

    places: Tensor
    positions: Tensor
    rotations: Tensor
    decoding: DecodingRows | None
    prompts: Sequence[Group]


def lay_out(
    short: Sequence[Span], long: Sequence[Span], prompts: Sequence[Group], slot_len: int, rotations: Tensor
) -> FusedStep:
    """`short` spans first, then `long` ones, which `prompts` attend; on the device of `rotations`."""
    positions: list[int] = []
    places: list[int] = []
    for span in (*short, *long):
        first = span.slot * slot_len + span.start
        positions += span.positions
        places += range(first, first + span.length)
    q_len = max((span.length for span in short), default=0)
    lists = {"places": places, "positions": positions} | (_decoding_lists(short, q_len) if short else {})
    found = to_device(lists, rotations.device)
    decoding = _decoding_rows(found, sum(span.length for span in short), q_len) if short else None
    return FusedStep(found["places"], found["positions"], rotations, decoding, prompts)


def to_device(lists: Mapping[str, Sequence[int]], device: torch.device) -> dict[str, Tensor]:
    """int64 tensors of these numbers, through one copy; each begins at 16 bytes, lest a kernel is compiled anew."""
    flat: list[int] = []
    begins = []
    for values in lists.values():
        begins.append(len(flat))
        flat += values
        flat += [0] * (len(values) % 2)
    whole = torch.tensor(flat, dtype=torch.int64, device=device)
    return {
        name: whole.narrow(0, begin, len(values)) for begin, (name, values) in zip(begins, lists.items(), strict=True)
    }


def padded(rows: Iterable[Sequence[int]], width: int) -> list[int]:
    """The rows one after another, each filled up with zeros."""
    flat: list[int] = []
    for row in rows:
        flat += row
        flat += [0] * (width - len(row))
    return flat


def _decoding_lists(spans: Sequence[Span], q_len: int) -> dict[str, list[int]]:
    lists = {
        "slots": [span.slot for span in spans],
        "prefix": [(span.tree.base if span.tree else span.start) + 1 for span in spans],
        "lengths": [span.length for span in spans],
    }
    if any(span.tree for span in spans):
        lists["masks"] = _mask_words(spans, q_len)
    if any(span.length < q_len for span in spans):
        lists |= _padding(spans, q_len)
    return lists


def _mask_words(spans: Sequence[Span], q_len: int) -> list[int]:
    """The words of a row's mask follow each other; row j of a chain sees the j nodes before it."""
    masks = [span.tree.masks if span.tree else [(1 << j) - 1 for j in range(span.length)] for span in spans]
    words = num_words(mask for row in masks for mask in row)
    return padded(([word for mask in row for word in words_of(mask, words)] for row in masks), q_len * words)


def _padding(spans: Sequence[Span], q_len: int) -> dict[str, list[int]]:
    """Padded places take the step's first row: what comes of them is dropped."""
    rows: list[range] = []
    places: list[int] = []
    first = 0
    for i, span in enumerate(spans):
        rows.append(range(first, first + span.length))
        places += range(i * q_len, i * q_len + span.length)
        first += span.length
    return {"pad": padded(rows, q_len), "unpad": places}


def _decoding_rows(found: Mapping[str, Tensor], num_rows: int, q_len: int) -> DecodingRows:
    batch, masks = len(found["slots"]), found.get("masks")
    return DecodingRows(
        num_rows,
        q_len,
        found["slots"].view(batch, 1),
        found["prefix"],
        found["lengths"],
        None if masks is None else masks.view(batch, q_len, -1),
        found.get("pad"),
        found.get("unpad"),
    )
