"""Which drafting method a speculative config means, told from names, architectures and model types as vLLM 0.12 does.

Pure functions of the config and of config.json files given as mappings, so that every published checkpoint can be
asked about without its weights. vLLM looks at the whole path of a draft and lets its name overrule the method that
was given; here a given method stands, and what a path would make vLLM believe becomes a warning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from engine.errors import ConfigError

MTP_ALIASES = (
    "deepseek_mtp",
    "mimo_mtp",
    "glm4_moe_mtp",
    "ernie_mtp",
    "qwen3_next_mtp",
    "longcat_flash_mtp",
    "pangu_ultra_moe_mtp",
)
# Models that carry MTP modules, by architecture: vLLM's name for the modules, and how many there are if unsaid.
MTP_MODELS: dict[str, tuple[str, int]] = {
    "DeepseekV3ForCausalLM": ("DeepSeekMTPModel", 0),
    "DeepseekV32ForCausalLM": ("DeepSeekMTPModel", 0),
    "MiMoForCausalLM": ("MiMoMTPModel", 0),
    "Glm4MoeForCausalLM": ("Glm4MoeMTPModel", 0),
    "Ernie4_5ForCausalLM": ("ErnieMTPModel", 0),
    "Ernie4_5_MoeForCausalLM": ("ErnieMTPModel", 0),
    "Qwen3NextForCausalLM": ("Qwen3NextMTP", 1),
    "LongcatFlashForCausalLM": ("LongCatFlashMTPModel", 1),
    "PanguUltraMoEForCausalLM": ("OpenPanguMTPModel", 0),
}
TRAINED_STEPS = "mtp_trained_steps"  # our own key: tokens that a module was trained to draft by itself
MTP_COUNTS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")
NGRAM_MODELS = ("ngram", "[ngram]")


@dataclass(frozen=True, slots=True)
class Detection:
    """`n_predict`: tokens that the checkpoint was made to draft at once, None where it does not say."""

    method: str
    n_predict: int | None = None
    warnings: tuple[str, ...] = ()


def detect(
    method: str | None, model: str | None, draft: Mapping[str, Any] | None, num_speculative_tokens: int | None = None
) -> Detection:
    """The method that `method` and `model` mean; `draft` is the config.json of the draft, None where it has none."""
    warnings: list[str] = []
    if method in MTP_ALIASES:
        warnings.append(f"method={method} is deprecated and taken as method=mtp")
        method = "mtp"
    if method in NGRAM_MODELS or (method is None and model in NGRAM_MODELS):
        return Detection("ngram", None, tuple(warnings))
    found = method or _from_draft(model, draft)
    if draft is not None:
        _refuse_contradiction(found, model, draft)
        warnings += _path_warning(found, model)
    predicted = n_predict(found, draft)
    trained = (draft or {}).get(TRAINED_STEPS, 1)
    if found == "mtp" and predicted == 1 and (num_speculative_tokens or 1) > trained:
        warnings.append(
            f"{model or 'the target'} has one MTP module, which num_speculative_tokens above {trained} runs again on "
            "its own output; where it was not trained for that, later positions are accepted less often"
        )
    return Detection(found, predicted, tuple(warnings))


def name_hint(text: str) -> str | None:
    """The method that vLLM reads from a draft's name or path."""
    lowered = text.lower()
    if "eagle-" in lowered:
        return "eagle"
    return "eagle3" if "eagle3" in lowered else None


def n_predict(method: str, draft: Mapping[str, Any] | None) -> int | None:
    """How many tokens the draft was made to predict, from its config.json."""
    if draft is None:
        return None
    if method == "mtp":
        return mtp_modules(draft) or None
    if method == "mlp_speculator":
        return draft.get("n_predict", 3)
    proposals = (draft.get("speculators_config") or {}).get("proposal_methods") or [{}]
    return proposals[0].get("speculative_tokens")


def mtp_modules(config: Mapping[str, Any]) -> int:
    """How many MTP modules a model carries; 0 for one of another kind."""
    architecture = _architecture(config)
    if architecture not in MTP_MODELS:
        return 0
    told = [config[key] for key in MTP_COUNTS if config.get(key) is not None]
    return told[0] if told else MTP_MODELS[architecture][1]


def draft_architecture(method: str, draft: Mapping[str, Any]) -> str:
    """vLLM's name of the draft network."""
    own = _architecture(draft)
    if method == "eagle":
        return own if own.startswith("Eagle") else f"Eagle{own}"
    if method == "eagle3":
        return own if own.startswith("Eagle3") or own.endswith("Eagle3") else f"Eagle3{own}"
    if method == "mtp" and own in MTP_MODELS:
        return MTP_MODELS[own][0]
    return {"medusa": "MedusaModel", "mlp_speculator": "MLPSpeculatorPreTrainedModel"}.get(method, own)


def _from_draft(model: str | None, draft: Mapping[str, Any] | None) -> str:
    if model is None:
        raise ConfigError(
            "the speculative config names no method: give method (ngram, suffix and mtp need no model) or model"
        )
    hint = name_hint(_own_name(model))
    if hint is None and draft is None:
        raise ConfigError(f"no method is given and model={model!r} has no config.json that tells: give method")
    return hint or declared(draft or {}) or ("mtp" if mtp_modules(draft or {}) else "draft_model")


def declared(draft: Mapping[str, Any]) -> str | None:
    """The method that a draft's config.json declares by itself; None for what looks like an ordinary model."""
    architecture, kind = _architecture(draft), draft.get("speculators_model_type") or draft.get("model_type")
    if "Eagle3" in architecture or kind == "eagle3":
        return "eagle3"
    if architecture.startswith("Eagle") or kind == "eagle":
        return "eagle"
    if kind == "medusa" or architecture == "MedusaModel" or "medusa_num_heads" in draft:
        return "medusa"
    if kind == "mlp_speculator" or architecture == "MLPSpeculatorPreTrainedModel":
        return "mlp_speculator"
    return "mtp" if kind == "mtp" else None


def _refuse_contradiction(method: str, model: str | None, draft: Mapping[str, Any]) -> None:
    own = declared(draft)
    if own is not None and own != method:
        raise ConfigError(f"method={method} but the config.json of {model} declares {own}: give method={own}")
    if method == "mtp" and not mtp_modules(draft) and own is None:
        raise ConfigError(
            f"method=mtp but {model or 'the target'} ({_architecture(draft)}) carries no MTP modules: "
            f"models that may are {', '.join(MTP_MODELS)}"
        )


def _path_warning(method: str, model: str | None) -> list[str]:
    hint = name_hint(model or "")
    if hint is None or hint == method:
        return []
    return [
        f"method={method} is kept, but vLLM would read {hint} from the path {model}: rename it before deploying there"
    ]


def _own_name(model: str) -> str:
    """org/name as it is; of a path the folder's name, or the repository's where the folder lies in a Hub cache."""
    parts = PurePath(model).parts
    cached = [part for part in parts if part.startswith("models--")]
    if cached:
        return cached[-1].removeprefix("models--").replace("--", "/")
    return model if len(parts) == 2 and not model.startswith(("/", ".", "~")) else PurePath(model).name


def _architecture(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or ["(none given)"])[0])
