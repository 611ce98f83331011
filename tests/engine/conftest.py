"""Small random models and the engine built on them."""

from pathlib import Path

import pytest
import torch

from engine.hub import load_transformers

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.exists():
        pytest.skip("the folder shared/ with recorded outputs and real tiny models is not beside this checkout")
    return SHARED


def save_model(folder: Path, kind: str = "Llama", seed: int = 0, **overrides) -> torch.nn.Module:
    """Write a random model of the family `kind` to `folder` and return it; weights are large enough to matter."""
    transformers = load_transformers()
    torch.manual_seed(seed)
    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 96,
        "max_position_embeddings": 256,
        "eos_token_id": 2,
        "bos_token_id": 1,
    }
    config = getattr(transformers, f"{kind}Config")(**(shape | overrides))
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.08)
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    """A random Llama whose greedy text soon repeats itself, so that lookup has something to find."""
    folder = tmp_path_factory.mktemp("random-llama")
    save_model(folder, seed=3)
    return folder
