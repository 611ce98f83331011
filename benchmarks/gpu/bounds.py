"""What a step must move and compute at least, and what a draft is then worth. Arithmetic only."""

from typing import NamedTuple

from benchmarks.gpu.ceilings import Ceilings
from engine.models.config import DecoderConfig


class Cost(NamedTuple):
    """Of one target step: bytes read, and operations."""

    num_bytes: float
    operations: float

    def seconds(self, ceilings: Ceilings) -> float:
        """The bound: memory or the products, whichever takes longer."""
        return max(self.num_bytes / ceilings.bandwidth, self.operations / ceilings.matmul)

    def limited_by(self, ceilings: Ceilings) -> str:
        return "memory" if self.num_bytes / ceilings.bandwidth >= self.operations / ceilings.matmul else "matmul"


def matrix_numbers(config: DecoderConfig) -> int:
    """Numbers in the matrices that every step reads: layers and head, not the embeddings."""
    hidden, dim = config.hidden_size, config.head_dim
    attention = hidden * dim * (2 * config.num_heads + 2 * config.num_kv_heads)
    mlp = 3 * hidden * config.intermediate_size
    return config.num_layers * (attention + mlp) + config.vocab_size * hidden


def kv_numbers(config: DecoderConfig) -> int:
    """Numbers that a cached position has, over all layers."""
    return config.num_layers * 2 * config.num_kv_heads * config.head_dim


def step_cost(config: DecoderConfig, batch: int, q_len: int, context: int, itemsize: int = 2) -> Cost:
    """Weights once, every sequence's cache once; each row meets all weights and its sequence's keys and values."""
    rows, seen = batch * q_len, context + q_len
    num_bytes = itemsize * (matrix_numbers(config) + batch * seen * kv_numbers(config))
    attention = 4 * config.num_layers * config.num_heads * config.head_dim * seen
    return Cost(num_bytes, rows * (2 * matrix_numbers(config) + attention))


def allowed_speedup(length: float, step: float, verify: float, draft: float) -> float:
    """`length` tokens for a draft and a verification, against one token a step; seconds of each."""
    return length * step / (verify + draft)
