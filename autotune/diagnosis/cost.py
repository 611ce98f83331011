"""Rules about what a step costs: the draft, the rows of the target's pass, and everything that is neither."""

from __future__ import annotations

from autotune.console.words import number, percent
from autotune.diagnosis.finding import Finding
from autotune.diagnosis.seen import K, Seen

SLOW_DRAFT = 0.25  # of a step's time
DEAR_ROWS = 1.5  # passes without speculation: where rows are free, as on a GPU with few requests, it is about 1
OUTSIDE = 0.25  # of a baseline step's time outside the target


def account(seen: Seen) -> Finding | None:
    """Where the factor comes from; always said, so that the other findings have something to refer to."""
    cost, tokens = seen.step_cost, seen.tokens_per_pass
    if not seen.drafted or cost is None or tokens is None or seen.draft_cost is None:
        return None
    says = (
        f"A step brings {number(tokens)} tokens and costs {number(cost)} steps without speculation, of which "
        f"drafting is {number(seen.draft_cost)}: {number(tokens)} / {number(cost)} = {number(tokens / cost)} times "
        "the tokens in the same time."
    )
    return Finding("account", says, {"tokens_per_pass": tokens, "step_cost": cost, "draft_cost": seen.draft_cost})


def slow_draft(seen: Seen) -> Finding | None:
    """The draft takes much of the step for what it wins."""
    share, cost = seen.share("draft"), seen.step_cost
    if not seen.drafted or share < SLOW_DRAFT or cost is None or seen.tokens_per_pass is None:
        return None
    free = seen.tokens_per_pass / (cost * (1 - share))
    says = (
        f"The draft is slow for what it wins: {percent(share)} of a step's time goes into drafting "
        f"{number(seen.drafted_per_pass)} tokens, of which {number(seen.tokens_per_pass - 1)} are used. Free drafts "
        f"would make {number(free)} of {number(seen.faster)}: shorter drafts, a smaller draft, or a method that "
        "looks up."
    )
    numbers = {"draft_share": share, "draft_cost": seen.draft_cost, "with_free_drafts": free}
    k = seen.config.get(K) or 1
    shorter = k > 1 and K not in seen.searched and not seen.tree
    change = seen.command(f"method.{K}={k - 1}") if shorter else seen.command("method=auto", module="autotune")
    return Finding("slow_draft", says, numbers, change)


def dear_rows(seen: Seen) -> Finding | None:
    """The target's pass over the drafted rows costs far more than one over a single row."""
    if not seen.drafted or seen.step_cost is None:
        return None
    target = seen.share("target") * seen.step_cost
    if target < DEAR_ROWS:
        return None
    rows = 1 + (seen.drafted_per_pass or 0)
    says = (
        f"Checking drafts is dear here: a target pass over {number(rows, 1)} rows costs {number(target)} times one "
        "without drafts, so the machine is short of arithmetic, not of memory bandwidth. Fewer drafted tokens, fewer "
        "requests at once, or a device with room to spare win more than a better draft."
    )
    wide = seen.tree and not seen.several
    change = "method.speculative_token_tree=null" if wide else "method.adaptive=true"
    return Finding("dear_rows", says, {"target_cost": target, "rows": rows}, seen.command(change))


def slow_baseline(seen: Seen) -> Finding | None:
    """Fewer steps save what a step spends outside the model, too: part of the gain belongs to that."""
    split = seen.baseline.get("time_split") or {}
    if not split.get("target") or (outside := 1 - split["target"]) < OUTSIDE:
        return None
    says = (
        f"No speculation is itself slow: {percent(outside)} of its steps' time is spent outside the model. Speculation "
        "makes fewer steps and so gains from that too; an engine with leaner steps, or a larger model or batch, would "
        "show less."
    )
    change = seen.command("load=closed_loop") if seen.details.get("load", {}).get("kind") == "single" else ""
    return Finding("slow_baseline", says, {"outside_target": outside}, change)


def fixed_threads(seen: Seen) -> Finding | None:
    """Threads set by hand below the machine's cores, on a CPU."""
    threads, cores = seen.engine.get("num_threads"), seen.environment.get("cpus")
    if seen.environment.get("device") != "cpu" or not isinstance(threads, int) or not isinstance(cores, int):
        return None
    if threads >= cores:
        return None
    says = (
        f"Both sides ran on {threads} of {cores} cores, because engine.num_threads says so. More threads make a pass "
        "over several rows cheaper before they do so for one row; auto measures how many are best."
    )
    change = seen.command("engine.num_threads=auto")
    return Finding("fixed_threads", says, {"threads": threads, "cores": cores}, change)
