"""The cache positions that all running sequences share, counted in blocks of 16 (vLLM's block_size)."""

from engine.errors import ConfigError

BLOCK = 16


def blocks(positions: int) -> int:
    """Blocks that hold so many positions of one sequence."""
    return -(-positions // BLOCK)


class Budget:
    """`tokens` positions in all; None is room for every slot at its full length, which is never short."""

    def __init__(self, tokens: int | None, num_slots: int, max_model_len: int):
        whole = isinstance(tokens, int) and not isinstance(tokens, bool)
        if tokens is not None and (not whole or tokens < BLOCK):
            raise ConfigError(f"kv_cache_tokens={tokens!r} is not allowed: a whole number >= {BLOCK}, or null")
        self.is_limited = tokens is not None
        self.num_blocks = tokens // BLOCK if tokens is not None else num_slots * blocks(max_model_len)

    @property
    def num_tokens(self) -> int:
        return self.num_blocks * BLOCK

    def check(self, positions: int) -> None:
        """Raise where one request alone may come to need more."""
        if blocks(positions) > self.num_blocks:
            raise ConfigError(
                f"the request needs {positions} cache positions (prompt + max_tokens) and kv_cache_tokens allows "
                f"{self.num_tokens}: lower max_tokens, shorten the prompt or raise kv_cache_tokens"
            )
