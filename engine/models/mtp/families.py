"""How the families of MTP modules differ, by the architecture that a config.json names.

All compute z = fuse([norm(embedding), norm(hidden)]), one decoder block, a norm, the head. What varies is the order of
the two halves, the names, the block, whether the embedding at position 0 is zeroed, and whether the target's state and
the block's output are taken before or after their last norm.
"""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class PublishedBlock:
    """A block that transformers computes: the names of its classes begin with `stem`, in the module `package`.

    kind      "layer": its decoder layer; "latent_dense": its latent attention under a dense feed-forward network
    settings  of the config, so that layer 0 is of the modules' kind
    """

    stem: str
    package: str
    kind: Literal["layer", "latent_dense"] = "layer"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MtpFamily:
    """Names are templates without ".weight": {k} is the module, {n} = num_hidden_layers + k.

    block         where the tensors of module k's decoder block begin
    within        where the tensors of modules begin: none of these may be left over
    published     None: the block is a dense layer of our own
    rope_neighbours  of a block of our own: as in models.config.Family
    reads         the target's state after its final norm, or before it
    hidden_first  the order of the fused halves: [hidden, embedding]; else [embedding, hidden]
    last_norm     None: the block's output goes to the head as it is
    feedback      what the next step reads: the output after the last norm, or before it
    zero_first    the embedding at position 0 is replaced by zeros
    norm_offset   what is added to the scales of norms as they are stored
    embeddings    None: the target's
    head          None: the target's
    own_tables    whether a file must hold embeddings and head of its own, or may
    """

    block: str
    within: str
    token_norm: str
    hidden_norm: str
    fuse: str
    last_norm: str | None
    published: PublishedBlock | None = None
    rope_neighbours: bool = False
    reads: Literal["normed", "raw"] = "normed"
    hidden_first: bool = False
    feedback: Literal["normed", "raw"] = "normed"
    zero_first: bool = True
    norm_offset: float = 0.0
    embeddings: str | None = None
    head: str | None = None
    own_tables: Literal["required", "optional"] = "required"


def _like_deepseek(
    published: PublishedBlock,
    feedback: Literal["normed", "raw"] = "normed",
    own_tables: Literal["required", "optional"] = "required",
) -> MtpFamily:
    """Modules stored as further layers of the model."""
    module = "model.layers.{n}."
    return MtpFamily(
        block=module,
        within=module,
        token_norm=module + "enorm",
        hidden_norm=module + "hnorm",
        fuse=module + "eh_proj",
        last_norm=module + "shared_head.norm",
        published=published,
        feedback=feedback,
        embeddings=module + "embed_tokens",
        head=module + "shared_head.head",
        own_tables=own_tables,
    )


ALL_EXPERTS = {"first_k_dense_replace": 0}
FULL_ATTENTION = {
    "num_hidden_layers": 1,
    "layer_types": ["full_attention"],
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
MIMO = MtpFamily(
    block="model.mtp_layers.{k}.",
    within="model.mtp_layers.",
    token_norm="model.mtp_layers.{k}.token_layernorm",
    hidden_norm="model.mtp_layers.{k}.hidden_layernorm",
    fuse="model.mtp_layers.{k}.input_proj",
    last_norm="model.mtp_layers.{k}.final_layernorm",
    reads="raw",
    hidden_first=True,
)
ERNIE = MtpFamily(
    block="model.mtp_block.{k}.",
    within="model.mtp_",
    token_norm="model.mtp_emb_norm.{k}",
    hidden_norm="model.mtp_hidden_norm.{k}",
    fuse="model.mtp_linear_proj.{k}",
    last_norm=None,
    rope_neighbours=True,
)
QWEN3_NEXT = MtpFamily(
    block="mtp.layers.{k}.",
    within="mtp.",
    token_norm="mtp.pre_fc_norm_embedding",
    hidden_norm="mtp.pre_fc_norm_hidden",
    fuse="mtp.fc",
    last_norm="mtp.norm",
    published=PublishedBlock("Qwen3Next", "qwen3_next", settings=FULL_ATTENTION),
    zero_first=False,
    norm_offset=1.0,
)
LONGCAT_FLASH = MtpFamily(
    block="model.mtp.layers.{k}.",
    within="model.mtp.",
    token_norm="model.mtp.layers.{k}.enorm.m",
    hidden_norm="model.mtp.layers.{k}.hnorm.m",
    fuse="model.mtp.layers.{k}.eh_proj",
    last_norm="model.mtp.norm",
    published=PublishedBlock("LongcatFlash", "longcat_flash", kind="latent_dense"),
    zero_first=False,
    embeddings="model.mtp.embed_tokens",
)
FAMILIES = {
    "DeepseekV3ForCausalLM": _like_deepseek(PublishedBlock("DeepseekV3", "deepseek_v3", settings=ALL_EXPERTS)),
    "Glm4MoeForCausalLM": _like_deepseek(
        PublishedBlock("Glm4Moe", "glm4_moe", settings=ALL_EXPERTS), feedback="raw", own_tables="optional"
    ),
    "PanguUltraMoEForCausalLM": _like_deepseek(
        PublishedBlock("PanguUltraMoE", "pangu_ultra_moe", settings=ALL_EXPERTS)
    ),
    "MiMoForCausalLM": MIMO,
    "Ernie4_5ForCausalLM": ERNIE,
    "Ernie4_5_MoeForCausalLM": ERNIE,
    "Qwen3NextForCausalLM": QWEN3_NEXT,
    "LongcatFlashForCausalLM": LONGCAT_FLASH,
}
