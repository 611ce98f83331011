"""Which of the target's layers an EAGLE-3 head reads.

Two ways of counting are in use. A *boundary* b is the residual stream after b layers; an *output* i is that after layer
i, so boundary i + 1. A head whose config is read the wrong way drafts badly and nothing else shows.
"""

from collections.abc import Mapping
from typing import Any, Literal

from engine.errors import ConfigError

Convention = Literal["boundary", "output"]
CONVENTIONS: tuple[Convention, ...] = ("boundary", "output")
KEY = "eagle_aux_hidden_state_layer_ids"


def layer_ids(raw: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The ids in a draft's config.json as they stand, or None where it has none."""
    found = raw.get(KEY) or (raw.get("eagle_config") or {}).get(KEY)
    return tuple(found) if found else None


def convention(raw: Mapping[str, Any], asked: str | None) -> Convention:
    """What the ids mean: as asked for, as the config says, or as its origin suggests.

    Ids at the top level are boundaries (speculators, vLLM). Those in `eagle_config` (SpecForge, SGLang) are outputs
    when they begin with layer 1, as SpecForge's default does; SGLang's own default triple counts boundaries.
    """
    given = asked or raw.get("aux_layer_convention")
    if given is not None:
        if given not in CONVENTIONS:
            raise ConfigError(f"aux_layer_convention={given!r} is not allowed: {', '.join(CONVENTIONS)}")
        return given
    ids = layer_ids(raw)
    return "output" if ids and not raw.get(KEY) and ids[0] == 1 else "boundary"


def boundaries(raw: Mapping[str, Any], num_layers: int, kind: Convention) -> tuple[int, ...]:
    """The boundaries to tap in a target of `num_layers`; without ids the three that EAGLE-3 was published with."""
    ids = layer_ids(raw)
    if ids is None:
        ids, kind = (2, num_layers // 2, num_layers - 3), "boundary"
    found = tuple(i + (kind == "output") for i in ids)
    if any(not 0 <= b <= num_layers for b in found):
        raise ConfigError(
            f"aux layers {list(ids)} ({kind}) are outside a target of {num_layers} layers: give {KEY} in the draft's "
            "config.json"
        )
    return found
