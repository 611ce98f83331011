"""How drafted tokens are picked in fixed shapes: by the rules of drafting/sampling.py and children.py, in tensors."""

from typing import NamedTuple

from torch import Tensor

from engine.captured.verdicts import Inputs, filter_rows
from engine.drafting.chains import Stepper
from engine.drafting.children import draw_without_replacement, drawn_from
from engine.drafting.fixed import Roots
from engine.filters import per_row, tempered
from kernels.keyed_noise import reference as noise


class Drafted(NamedTuple):
    """tokens [B, N], and q [B, N, V] float64 that each was drawn from, given the siblings before it; None: one-hot."""

    tokens: Tensor
    q: Tensor | None


class Picker(NamedTuple):
    """method: greedy, coupled or probabilistic. inputs: of the step, where some requests filter; else None."""

    method: str
    roots: Roots
    inputs: Inputs | None

    def one(self, stepper: Stepper, depth: int) -> Drafted:
        """One token a sequence, [B, 1]; `depth` is 0 for the first."""
        if self.method == "greedy":
            return Drafted(stepper.best()[:, None], None)
        return self.several(stepper.logits(), depth, 1)

    def several(self, logits: Tensor, depth: int, count: int) -> Drafted:
        """logits [B * n, V] of n rows a sequence -> `count` children a row, [B, n * count]."""
        batch = len(self.roots.slots)
        likeliest = logits.topk(count).indices if count > 1 else logits.argmax(-1, keepdim=True)
        if self.method == "greedy":
            return Drafted(likeliest.view(batch, -1), None)
        heat = per_row(self.roots.temperatures, len(logits) // batch)
        scaled = tempered(self._kept(logits), heat)
        gumbel = noise.gumbel(self._keys(depth), logits.shape[1])
        gumbel = gumbel[:, None].expand(-1, len(logits) // batch, -1).reshape(scaled.shape)
        tokens = draw_without_replacement(scaled, gumbel, count).where(heat > 0, likeliest)
        if self.method == "coupled":
            return Drafted(tokens.view(batch, -1), None)
        q = drawn_from(scaled, tokens) if count > 1 else scaled.softmax(-1)[:, None]
        return Drafted(tokens.view(batch, -1), q.view(batch, -1, logits.shape[1]))

    def _kept(self, logits: Tensor) -> Tensor:
        if self.inputs is None:
            return logits
        return filter_rows(logits.view(len(self.roots.slots), -1, logits.shape[1]), self.inputs).flatten(0, 1)

    def _keys(self, depth: int) -> Tensor:
        """[B]: see sampling.noise_keys; a request has starts + 1 tokens."""
        length, seeds = self.roots.starts + 1, self.roots.seeds
        if self.method == "coupled":
            return noise.key(seeds, length + depth)
        return noise.key(noise.step_seed(seeds, length), length + depth, noise.DRAFT)
