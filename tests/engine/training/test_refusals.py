"""Options that do not suit a target are refused before anything is generated."""

from dataclasses import replace

import pytest

from engine.errors import ConfigError
from engine.training.heads import find


@pytest.mark.parametrize(
    ("method", "options", "target_is", "message"),
    [
        ("eagle3", {"aux_layers": (0, 1, 4)}, {}, "aux layer 4 is not a boundary of the target: 0 to 3"),
        ("eagle3", {"draft_vocab_size": 97}, {}, "draft_vocab_size is 97, above the target's 96"),
        ("mtp", {}, {"qk_norm": True}, "MiMo layout"),
        ("draft_model", {}, {"qkv_bias": True}, "copied_layers="),
        ("draft_model", {"copied_layers": (3,)}, {}, "the target has 0 to 2"),
    ],
)
def test_refused(method, options, target_is, message, target):
    module = find(method)
    base = {"draft_vocab_size": 48} if method == "eagle3" else {}
    with pytest.raises(ConfigError, match=message):
        module.check(module.OPTIONS(**(base | options)), replace(target.config, **target_is))
