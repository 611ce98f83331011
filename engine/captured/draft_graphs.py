"""The graphs of one method over one fixed shape of the target's step: its draft loop, and what it takes in after."""

from engine.captured.dynamic import draft_dynamic
from engine.captured.graphs import Captured, Pool
from engine.captured.loops import FixedTree, draft_chain, draft_tree
from engine.captured.picking import Drafted, Picker
from engine.captured.target_step import TargetStep
from engine.drafting.fixed import FixedProposer
from engine.drafting.trees import plan_of
from engine.tree.token_tree import TokenTree


class DraftGraphs:
    """`propose` leaves its tokens in the step's inputs, and q where it drew; `take_in` reads the step's verdict."""

    def __init__(
        self,
        proposer: FixedProposer,
        tree: TokenTree | None,
        dynamic: tuple[int, int] | None,
        step: TargetStep,
        pool: Pool | None,
    ):
        self._proposer, self._step, self._pool = proposer, step, pool
        self._dynamic = dynamic if step.size.words else None
        plan = None if tree is None or not step.size.words else plan_of(tree)
        self._tree = None if plan is None else FixedTree(plan, step.size.batch, step.logits.device)
        self._loops: dict[tuple[str, bool], Captured] = {}
        self._taking_in: Captured | None = None

    def propose(self, method: str, filtered: bool) -> None:
        """method: how tokens are picked; filtered: some requests draw from a part of the vocabulary."""
        if (method, filtered) not in self._loops:
            picker = Picker(method, self._step.roots, self._step.inputs.device if filtered else None)
            self._loops[method, filtered] = Captured(lambda: self._propose(picker), self._pool)
        self._loops[method, filtered].run()

    def take_in(self) -> None:
        if self._taking_in is None:
            self._taking_in = Captured(self._take_in, self._pool)
        self._taking_in.run()

    def _propose(self, picker: Picker) -> None:
        if self._dynamic is not None:
            return self._propose_dynamic(*self._dynamic)
        drafted = self._draft(picker)
        self._step.inputs.device["tokens"][:, 1:].copy_(drafted.tokens)
        self._step.keep_q(drafted.q)
        return None

    def _propose_dynamic(self, topk: int, num_nodes: int) -> None:
        """What the target's step then needs of the tree is written beside the tokens."""
        step, given = self._step, self._step.inputs.device
        stepper = self._proposer.fixed_stepper(step.roots)
        chosen = draft_dynamic(stepper, step.roots, given["limits"], step.size.depth, topk, num_nodes)
        given["tokens"][:, 1:].copy_(chosen.tokens)
        given["parents"].copy_(chosen.parents)
        given["positions"][:, 1:].copy_(step.roots.starts[:, None] + chosen.depths)
        given["masks"][:, 1:, 0].copy_(chosen.masks)

    def _draft(self, picker: Picker) -> Drafted:
        roots = self._step.roots
        stepper = self._proposer.fixed_stepper(roots)
        if self._tree is not None:
            return draft_tree(stepper, roots, self._tree, picker)
        return draft_chain(stepper, roots, self._step.size.nodes, picker)

    def _take_in(self) -> None:
        step = self._step
        self._proposer.take_in(step.roots, step.verdict.verified, step.output, step.size.q_len)
