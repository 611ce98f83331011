"""Every method in bf16 and fp16, by both kinds of kernels: tokens change only where the target is all but undecided."""

import pytest

from autotune.worker.judge import judge
from autotune.worker.prompts import Prompt
from engine import Engine, SamplingParams
from tests.engine.captured_cases import ASKED, MODEL
from tests.engine.drafts import METHODS, settings_of
from tests.engine.test_fused_path import with_draft

WISHES = [SamplingParams(max_tokens=14, temperature=0.8 * (i // 3), seed=i, ignore_eos=True) for i in range(6)]


@pytest.fixture(scope="module", params=["torch", "fused"])
def kernels(request):
    return request.param


@pytest.fixture(scope="module", params=["bfloat16", "float16"])
def engine(request, kernels):
    return Engine.load(
        MODEL,
        max_num_seqs=3,
        max_model_len=128,
        dtype=request.param,
        num_threads=1,
        kernels=kernels,
        enforce_eager=True,
    )


@pytest.fixture(scope="module")
def prompts(engine):
    encode = engine.tokenizer.apply_chat_template
    chats = [[{"role": "user", "content": text}] for text in ASKED * 2]
    return [encode(chat, add_generation_prompt=True, return_dict=False) for chat in chats]


@pytest.fixture(scope="module")
def plain(engine, prompts):
    """Without speculation."""
    engine.configure_speculation(None)
    return [output.token_ids for output in engine.generate(prompts, WISHES)]


@pytest.mark.filterwarnings("ignore:.*has one MTP module")
@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)
def test_a_token_changes_only_where_the_target_is_all_but_undecided(engine, prompts, plain, path):
    engine.configure_speculation(with_draft(settings_of(path)))
    outputs = [output.token_ids for output in engine.generate(prompts, WISHES)]
    assert path.stem == "none" or engine.stats.num_accepted_tokens > 0
    dtype = engine.environment()["dtype"]
    found = [
        judge(engine, Prompt(str(i), ids, wish), path.stem, before, after, dtype)
        for i, (ids, wish, before, after) in enumerate(zip(prompts, WISHES, plain, outputs, strict=True))
    ]
    differing = [each for each in found if each is not None]
    assert all(each.excused for each in differing), differing
    assert len(differing) <= 3
