"""Rejection sampling with q: a walk by coins, one pass over the vocabulary where it stopped, one token.

After the children 1 .. j of a node were rejected, what is left of its p is max(p - sum_i w_i q_i, 0) / w_(j+1), where
w_i was left before child i was tried (w_1 = 1): max(max(u - a, 0) - b, 0) is max(u - a - b, 0), so no copy is kept.
Where that is zero everywhere nothing is taken off: w_i = 0.
"""

import triton
import triton.language as tl

from kernels.keyed_noise.triton import STEP, TARGET, coin, gumbel, key, quick_gumbel, token_bits
from kernels.verify.triton_rows import chosen

TIE = tl.constexpr(1e-3)  # scores that are compared again in float64


@triton.jit
def reject(
    tokens, parents, counts, best, best_at, paths, emitted, num_accepted, num_nodes, parts,
    logits, q, temperatures, seeds, positions, peak, mass, weights, ends, laws, size,
    max_depth: tl.constexpr, NODES: tl.constexpr, PARTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Program b: children in turn; accepted by a coin below p / q, or, of greedy sequences, by being the choice.

    ends[b] = (node where it stopped, first and last child rejected there, depth); the last is -1 if none was.
    """
    sequence = tl.program_id(0).to(tl.int64)
    count = tl.load(counts + sequence).to(tl.int32)
    first_row, first_node = sequence * (num_nodes + 1), sequence * num_nodes
    for depth in range(max_depth):
        tl.store(paths + sequence * max_depth + depth, -1)
    for depth in range(max_depth + 1):
        tl.store(emitted + sequence * (max_depth + 1) + depth, -1)
    tl.debug_barrier()
    number = tl.arange(0, NODES)
    parent = tl.load(parents + first_node + number, mask=number < count, other=-2)
    temperature = tl.load(temperatures + sequence)
    length = tl.load(positions + first_row)
    step = key(tl.load(seeds + sequence).to(tl.uint64), length, STEP)
    choice = chosen(best, best_at, first_row, parts, count >= 0, PARTS)
    top, total = law(peak, mass, first_row, parts, temperature, count >= 0, PARTS)
    left = 1.0 + tl.zeros((), tl.float64)
    at, last, accepted, rank = -1, -1, 0, 0
    node = next_child(number, parent, at, -1, NODES)
    first = node
    while (node < NODES) & (accepted < max_depth):
        token = tl.load(tokens + first_node + node)
        takes = token == choice
        if temperature > 0:
            ours = rest_of(
                logits + (first_row + 1 + at) * size, q + first_node * size, parents + first_node,
                weights + first_node, token, at, first, node, size, temperature, top, total, NODES,
            )  # fmt: skip
            drafts = tl.load(q + (first_node + node) * size + token).to(tl.float64)
            chance = tl.where(drafts > 0, ours / left / tl.where(drafts > 0, drafts, 1.0), 0.0)
            takes = coin(step, length + accepted, tl.cast(rank, tl.int64)) < chance
        if takes:
            tl.store(paths + sequence * max_depth + accepted, node)
            tl.store(emitted + sequence * (max_depth + 1) + accepted, token)
            at, accepted, rank, last = node, accepted + 1, 0, -1
            left = 1.0 + tl.zeros((), tl.float64)
            choice = chosen(best, best_at, first_row + 1 + at, parts, True, PARTS)
            top, total = law(peak, mass, first_row + 1 + at, parts, temperature, True, PARTS)
            node = next_child(number, parent, at, node, NODES)
            first = node
        else:
            sibling = next_child(number, parent, at, node, NODES)
            if temperature > 0:
                rank += 1
                last = node
                tl.store(weights + first_node + node, left)
                tl.debug_barrier()
                if sibling < NODES:
                    rest = mass_left(
                        logits + (first_row + 1 + at) * size, q + first_node * size, parents + first_node,
                        weights + first_node, at, first, node, size, temperature, top, total, BLOCK,
                    )  # fmt: skip
                    if rest > 0:
                        left = rest
                    else:
                        tl.store(weights + first_node + node, 0.0)
                    tl.debug_barrier()
            node = sibling
    if (last < 0) & (count >= 0):
        tl.store(emitted + sequence * (max_depth + 1) + accepted, choice)
    tl.store(num_accepted + sequence, tl.where(count >= 0, accepted, -1))
    tl.store(ends + sequence * 4, at)
    tl.store(ends + sequence * 4 + 1, first)
    tl.store(ends + sequence * 4 + 2, last)
    tl.store(ends + sequence * 4 + 3, accepted)
    tl.store(laws + sequence * 2, top)
    tl.store(laws + sequence * 2 + 1, total)


@triton.jit
def law(peak, mass, row, parts, temperature, is_asked, PARTS: tl.constexpr):
    """p(v) = exp((x_v - top) / T) / total, from the parts of a row; float64. Of greedy sequences it says nothing."""
    part = tl.arange(0, PARTS)
    mask = part < tl.where(is_asked, tl.where(temperature > 0, parts, 0), 0)
    tops = tl.load(peak + row * parts + part, mask=mask, other=float("-inf")).to(tl.float64)
    sums = tl.load(mass + row * parts + part, mask=mask, other=0.0).to(tl.float64)
    top = tl.max(tl.where(sums > 0, tops, float("-inf")), 0)
    top = tl.where(top == float("-inf"), 0.0, top)
    share = tl.exp((tl.where(sums > 0, tops, top) - top) / tl.where(temperature > 0, temperature, 1.0))
    return top, tl.sum(sums * share, 0)


@triton.jit
def rest_of(
    x, q, parents, weights, token, at, first, end, size, temperature, top, total, NODES: tl.constexpr
):  # fmt: skip
    """max(p - sum w q, 0) of one token, over the children of `at` among the nodes [first, end); float64."""
    p = tl.exp((tl.load(x + token).to(tl.float64) - top) / temperature) / total
    node = tl.arange(0, NODES)
    mask = (node >= first) & (node < end)
    mask = mask & (tl.load(parents + node, mask=mask, other=-2) == at)
    weight = tl.load(weights + node, mask=mask, other=0.0)
    taken = tl.load(q + node.to(tl.int64) * size + token, mask=mask, other=0.0).to(tl.float64)
    return tl.maximum(p - tl.sum(weight * taken, 0), 0.0)


@triton.jit
def rest_of_tile(
    x, q, parents, weights, token, at, first, end, size, temperature, top, total, BLOCK: tl.constexpr
):  # fmt: skip
    """p - sum w q of a tile of tokens, float32 and not clamped."""
    logit = tl.load(x + token, mask=token < size, other=float("-inf")).to(tl.float32)
    scale, inverse = 1.0 / temperature.to(tl.float32), (1.0 / total).to(tl.float32)
    rest = tl.exp((logit - top.to(tl.float32)) * scale) * inverse
    node = tl.cast(first, tl.int64)
    while node < end:
        if tl.load(parents + node) == at:
            drawn = tl.load(q + node * size + token, mask=token < size, other=0.0)
            rest -= tl.load(weights + node).to(tl.float32) * drawn.to(tl.float32)
        node += 1
    return rest


@triton.jit
def mass_left(
    x, q, parents, weights, at, first, last, size, temperature, top, total, BLOCK: tl.constexpr
):  # fmt: skip
    """The sum of max(p - sum w q, 0) with the children up to `last`; float64."""
    found = tl.zeros((), tl.float64)
    start = 0
    while start < size:
        token = start + tl.arange(0, BLOCK)
        rest = rest_of_tile(
            x, q, parents, weights, token, at, first, last + 1, size, temperature, top, total, BLOCK
        )  # fmt: skip
        found += tl.sum(tl.maximum(rest, 0.0), 0).to(tl.float64)
        start += BLOCK
    return found


@triton.jit
def next_child(number, parent, at, after, NODES: tl.constexpr):
    """The first node behind `after` whose parent is `at`; NODES if there is none."""
    return tl.min(tl.where((parent == at) & (number > after), number, NODES), 0)


@triton.jit
def draw_rest(
    logits, q, temperatures, seeds, positions, parents, weights, ends, laws, scores, scored, num_nodes, size,
    NODES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Program (b, part): the best token of what is left, and of what was left before the last child was rejected.

    The second is for where the first is zero everywhere, which no part knows alone.
    """
    sequence, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    at, first, last = tl.load(ends + sequence * 4), tl.load(ends + sequence * 4 + 1), tl.load(ends + sequence * 4 + 2)
    if last < 0:
        return
    temperature, row = tl.load(temperatures + sequence), sequence * (num_nodes + 1) + 1 + at
    top, total = tl.load(laws + sequence * 2), tl.load(laws + sequence * 2 + 1)
    base = key(tl.load(seeds + sequence).to(tl.uint64), tl.load(positions + row), TARGET)
    token = part * BLOCK + tl.arange(0, BLOCK)
    noise = quick_gumbel(token_bits(base, token))
    x, own_q = logits + row * size, q + sequence * num_nodes * size
    own_parents, own_weights = parents + sequence * num_nodes, weights + sequence * num_nodes
    for back in tl.static_range(2):
        end = last + 1 - back
        rest = rest_of_tile(
            x, own_q, own_parents, own_weights, token, at, first, end, size, temperature, top, total, BLOCK
        )  # fmt: skip
        quick = tl.where(rest > 0, tl.log(tl.where(rest > 0, rest, 1.0)) + noise, float("-inf"))
        near = (quick >= tl.max(quick, 0) - TIE) & (rest > 0)
        score, drawn = float("-inf") + tl.zeros((), tl.float64), tl.min(token, 0)
        while tl.max(near.to(tl.int32), 0) > 0:
            one = tl.min(tl.where(near, token, size), 0)
            left = rest_of(
                x, own_q, own_parents, own_weights, one, at, first, end, size, temperature, top, total, NODES
            )  # fmt: skip
            exact = tl.where(left > 0, tl.log(tl.where(left > 0, left, 1.0)), float("-inf"))
            exact += gumbel(token_bits(base, one))
            drawn = tl.where(exact > score, one, drawn)
            score = tl.maximum(exact, score)
            near = near & (token != one)
        place = (sequence * 2 + back) * tl.num_programs(1) + part
        tl.store(scores + place, score)
        tl.store(scored + place, drawn)


@triton.jit
def emit_drawn(ends, scores, scored, emitted, max_depth, parts, PARTS: tl.constexpr):
    """Program b: the token after the accepted ones where a child was rejected there."""
    sequence = tl.program_id(0).to(tl.int64)
    if tl.load(ends + sequence * 4 + 2) >= 0:
        part = tl.arange(0, PARTS)
        place = sequence * 2 * parts + part
        is_left = tl.max(tl.load(scores + place, mask=part < parts, other=float("-inf")), 0) > float("-inf")
        token = chosen(scores, scored, sequence * 2 + tl.where(is_left, 0, 1), parts, True, PARTS)
        depth = tl.load(ends + sequence * 4 + 3)
        tl.store(emitted + sequence * (max_depth + 1) + depth, token)
