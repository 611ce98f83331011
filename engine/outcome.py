"""What a step's passes brought, however they were run: what the step loop commits."""

from dataclasses import dataclass

from torch import Tensor

from engine.draft import Draft, Verification
from engine.models.decoder import TargetOutput
from engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Outcome:
    """draft and verification are of the decoding sequences, then of those in `ready`, which have no draft.

    ready         the sequences whose prompt this step completed; they got their first token
    num_rows      of the target's pass, padding not counted
    raw_logits    [rows, V] as the target gave them, where a request asks for logprobs
    output        of the target, for `Proposer.observe`; None: the draft has taken in what became final
    is_compacted  whether the accepted nodes are cached as the positions they turned out to be
    first_row     of the step that `output` has: what was before it, all decoding rows, the draft has taken in
    """

    draft: Draft
    verification: Verification
    ready: list[Sequence]
    num_rows: int
    raw_logits: Tensor | None
    output: TargetOutput | None
    is_compacted: bool = False
    first_row: int = 0
