"""A cache smaller than its requests: drafts are cut, the latest waits and is computed anew, no token changes."""

import itertools
import random

import pytest
from checkpoints import build

from engine import ConfigError, Engine, SamplingParams
from engine.blocks import BLOCK, Budget, blocks
from engine.draft import Draft
from tests.engine.drafts import METHODS, settings_for, settings_of

VOCAB, BUDGET = 96, 176
LENGTHS = (60, 41, 70, 30, 55, 48)
NGRAM = {"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3}
TREE = {
    "num_speculative_tokens": 3,
    "speculative_token_tree": str([(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (0, 0, 0)]),
}
GROWN = {"num_speculative_tokens": 3, "dynamic_tree_topk": 3, "dynamic_tree_num_draft_tokens": 8}
MORE = {  # what is not in a YAML: (method, given)
    "suffix alone": ("suffix", {"suffix_decoding_max_cached_requests": 0}),
    "eagle3 of a dynamic tree": ("eagle3", GROWN),
    **{f"{method} of a tree": (method, TREE) for method in ("draft_model", "eagle", "medusa", "mtp")},
}
CASES = (*(path.stem for path in METHODS), *MORE, "mtp of three modules")


def load(model, settings=None, **options):
    given = {"max_num_seqs": 4, "max_num_batched_tokens": 24, "dtype": "float32", "num_threads": 1}
    return Engine.load(model, settings, **given | options)


@pytest.fixture(scope="module")
def requests():
    """Prompts that repeat themselves; sampled, for the greedy text of a random model soon stands still."""
    rng = random.Random(2)
    prompts, wishes = [], []
    for i, length in enumerate(LENGTHS):
        phrase = [rng.randrange(3, VOCAB) for _ in range(6)]
        prompts.append([1, *phrase, *(rng.randrange(3, VOCAB) for _ in range(5 * (i % 3))), *phrase])
        more = {"logprobs": 2} if i == 1 else {"repetition_penalty": 1.1, "min_tokens": 20} if i == 2 else {}
        wishes.append(
            SamplingParams(max_tokens=length, temperature=0.9 * (i % 4 > 0), seed=i, ignore_eos=i > 0, **more)
        )
    return prompts, wishes


@pytest.fixture(scope="module")
def alone(random_model, requests):
    return load(random_model, max_num_seqs=1).generate(*requests)


def settings_of_case(name, model, folder):
    if name == "mtp of three modules":
        draft = build("mtp_mimo", {"hidden_size": 64, "vocab_size": VOCAB}, num_nextn_predict_layers=3)
        return {"method": "mtp", "model": str(draft.save(folder / "modules")), "num_speculative_tokens": 3}
    method, given = MORE.get(name, (name, {}))
    path = next(path for path in METHODS if path.stem == method)
    return settings_for(settings_of(path) | given, model, folder)


def recorded(engine, truth, accept):
    """{(request, tokens it had, limit): (draft, preemptions so far)}.

    accept(depth) of the tokens along first children are made right, all others wrong; None leaves them as they are.
    """
    made, propose = {}, engine._proposer.propose

    def steered(sequences, limits):
        draft, tokens = propose(sequences, limits), []
        ends = itertools.accumulate(draft.counts)
        for sequence, limit, shape, end in zip(sequences, limits, draft.shapes, ends, strict=True):
            which = next(i for i, full in enumerate(truth) if full[: len(sequence)] == sequence.tokens)
            drafted = list(draft.tokens[end - len(shape.parents) : end])
            made[which, len(sequence), limit] = drafted, sequence.metrics.num_preemptions
            taken = accept(shape.depth)
            tokens += drafted if taken is None else steer(shape, truth[which][len(sequence) :], taken)
        return Draft(tokens, draft.counts, draft.parents)

    engine._proposer.propose = steered
    return made


def steer(shape, right, taken):
    """The tokens of a draft of this shape of which `taken` levels are right: first children, all the way down."""
    padded = [*right, *[0] * shape.depth]
    return [
        (padded[depth - 1] + rank + (depth > taken)) % VOCAB
        for depth, rank in zip(shape.depths, shape.ranks, strict=True)
    ]


@pytest.mark.filterwarnings("ignore:.*has one MTP module")
@pytest.mark.parametrize("name", CASES)
def test_a_preempted_request_goes_on_with_the_same_tokens(random_model, requests, alone, name, tmp_path):
    engine = load(random_model, settings_of_case(name, random_model, tmp_path), kv_cache_tokens=BUDGET)
    outputs = engine.generate(*requests)
    assert [output.token_ids for output in outputs] == [output.token_ids for output in alone]
    preempted = [output.metrics.num_preemptions for output in outputs]
    assert engine.num_preemptions == sum(preempted) > 1
    assert preempted[0] == 0  # who came first never waits
    assert name == "none" or engine.stats.num_draft_tokens > 0
    for output, other in zip(outputs, alone, strict=True):
        assert sum(count for _, count in output.metrics.deliveries) == len(output.token_ids)
        assert output.metrics.first_token_time == output.metrics.deliveries[0][0]
        for a, b in zip(output.logprobs or (), other.logprobs or (), strict=True):
            assert a == pytest.approx(b, abs=1e-4)
    assert len(outputs[1].logprobs) == len(outputs[1].token_ids)
    assert engine.kv_cache_usage == 0
    engine.reset()
    assert engine.num_preemptions == 0


@pytest.mark.filterwarnings("ignore:.*has one MTP module")
@pytest.mark.parametrize("name", [name for name in CASES if name not in ("none", "suffix")])
def test_drafts_after_a_preemption_are_those_of_a_request_that_was_never_preempted(
    random_model, requests, alone, name, tmp_path
):
    """What a method keeps of a request (caches, last states, indexes) is as before when the request comes back."""
    prompts, wishes = requests
    truth = [[*prompt, *output.token_ids] for prompt, output in zip(prompts, alone, strict=True)]
    settings = settings_of_case(name, random_model, tmp_path)
    expected = {}
    feeds_tokens = "draft_model" in name  # which keeps what it drafted itself, so that another token is not its own
    for taken in (0,) if feeds_tokens else (0, 1):
        solo = load(random_model, settings, max_num_seqs=1)
        made = recorded(solo, truth, lambda count, taken=taken: min(taken, count))
        solo.generate(prompts, wishes)
        expected |= {key: drafted for key, (drafted, _) in made.items()}
    engine, rng = load(random_model, settings, kv_cache_tokens=BUDGET), random.Random(3)
    made = recorded(engine, truth, lambda count: None if feeds_tokens else rng.randint(0, count))
    engine.generate(prompts, wishes)
    after = {key: drafted for key, (drafted, preemptions) in made.items() if preemptions and key in expected}
    assert len(after) > 10
    assert sum(map(len, after.values())) > (0 if name == "ngram" else 20)
    assert after == {key: expected[key] for key in after}


def test_drafts_are_cut_before_anyone_is_sent_back(random_model):
    """Two requests that end before they need a third block, which their drafts would have liked to use."""
    prompts, wish = (
        [[1, *([5, 6, 7, 8] * 5)]] * 2,
        {"max_tokens": 40, "temperature": 1.0, "seed": 1, "ignore_eos": True},
    )
    free = load(random_model).generate(prompts[:1], SamplingParams(**wish))[0].token_ids
    assert free[10] not in free[:10]
    wish = SamplingParams(**wish, stop_token_ids=[free[10]])  # the 32nd token
    whole = load(random_model, NGRAM)
    expected = [output.token_ids for output in whole.generate(prompts, wish)]
    assert whole.num_drafts_cut == 0
    engine = load(random_model, NGRAM, kv_cache_tokens=5 * BLOCK)
    outputs = engine.generate(prompts, wish)
    assert [output.token_ids for output in outputs] == expected
    assert engine.num_preemptions == 0
    assert engine.num_drafts_cut > 0


@pytest.mark.parametrize("name", ["ngram", "medusa of a tree", "eagle3 of a dynamic tree"])
def test_the_drafts_of_a_step_never_exceed_the_cache(random_model, requests, name, tmp_path):
    """Every node takes a position, whatever depth it has."""
    engine = load(random_model, settings_of_case(name, random_model, tmp_path), kv_cache_tokens=BUDGET)
    propose, seen = engine._proposer.propose, []

    def watched(sequences, limits):
        draft = propose(sequences, limits)
        nodes = {id(sequence): count for sequence, count in zip(sequences, draft.counts, strict=True)}
        seen.append(sum(blocks(len(each) + nodes.get(id(each), 0)) for each in engine._scheduler.running))
        return draft

    engine._proposer.propose = watched
    engine.generate(*requests)
    assert engine.num_drafts_cut > 0
    assert max(seen) == BUDGET // BLOCK


def test_who_was_preempted_is_first_in_the_queue_and_may_be_aborted_there(random_model, requests):
    prompts, wishes = requests
    engine = load(random_model, NGRAM, kv_cache_tokens=BUDGET)
    for i in range(len(prompts)):
        engine.add_request(str(i), prompts[i], wishes[i])
    while not engine.num_preemptions:
        running = {each.request_id for each in engine._scheduler.running}
        engine.step()
    first = engine._scheduler.waiting[0]
    assert first.request_id == max(running)
    assert (first.slot, first.num_computed, first.metrics.num_preemptions) == (-1, 0, 1)
    done = engine.abort_request(first.request_id)
    assert done.token_ids == first.output_token_ids != []
    while engine.has_unfinished_requests():
        engine.step()
    engine.reset()


def test_a_long_prompt_that_arrives_while_others_decode(random_model):
    """It is read in chunks beside them; nobody's tokens change, whether or not it has to wait for room."""
    short, long = [1, *([5, 6, 7, 8] * 4)], [1, *(3 + (7 * i) % 90 for i in range(120))]
    wishes = [SamplingParams(max_tokens=40, temperature=0.8, seed=s, ignore_eos=True) for s in (1, 2, 3)]
    expected = [
        output.token_ids for output in load(random_model, max_num_seqs=1).generate([short, short, long], wishes)
    ]
    for tokens in (None, 192):
        engine = load(random_model, NGRAM, kv_cache_tokens=tokens, max_num_batched_tokens=16)
        outputs, beside = {}, 0
        for i, prompt in enumerate((short, short)):
            engine.add_request(str(i), prompt, wishes[i])
        for step in itertools.count():
            if step == 3:
                engine.add_request("2", long, wishes[2])
            batch = [each.is_decoding for each in engine._scheduler.running]
            beside += any(batch) and not all(batch)
            outputs |= {output.request_id: output.token_ids for output in engine.step()}
            if not engine.has_unfinished_requests():
                break
        assert [outputs[str(i)] for i in range(3)] == expected
        assert beside >= 7 or tokens is not None


def test_requests_that_never_fit_and_wrong_budgets(random_model):
    engine = load(random_model, kv_cache_tokens=70)  # four blocks: 64 positions
    message = "needs 65 cache positions .prompt . max_tokens. and kv_cache_tokens allows 64"
    for ask in (
        lambda: engine.add_request("a", [1] * 6, SamplingParams(max_tokens=60)),
        lambda: engine.generate([[1], [1] * 6], SamplingParams(max_tokens=60)),
    ):
        with pytest.raises(ConfigError, match=message):
            ask()
    assert not engine.has_unfinished_requests()
    assert len(engine.generate([[1] * 5], SamplingParams(max_tokens=60, ignore_eos=True))[0].token_ids) == 60
    for wrong in (15, 64.0, True, "many"):
        with pytest.raises(ConfigError, match=r"kv_cache_tokens=.* is not allowed: a whole number >= 16"):
            load(random_model, kv_cache_tokens=wrong)
    assert Budget(None, 2, 40).num_tokens == 96
    assert engine.environment()["kv_cache_tokens"] == 64
