"""The prepared EAGLE-3 layer looks, before any training, at earlier places of the current token."""

import torch

from engine.training.answers import Answered
from engine.training.features import Features
from engine.training.heads.block import Rotary
from engine.training.lessons import lesson


def share_found(head, batch):
    """How often query head 0 of the second half looks at the pair whose own token is the current one."""
    fused = head.fc(batch.aux[:, :-1].float())
    inputs = head.attention_input(batch.ids[:, 1:], fused)
    part, rotary = head.midlayer.self_attn, Rotary(*head.teacher.rotation(100))
    positions = torch.arange(inputs.shape[1]).expand(len(inputs), -1)
    keys = part.make_keys(inputs, positions, rotary).keys[:, 0]
    queries = rotary(part.split(part.q_proj(inputs)), positions)[:, 0]
    scores = (queries @ keys.mT).masked_fill(torch.ones(inputs.shape[1], inputs.shape[1]).triu(0) > 0, -1e9)
    seen = batch.ids.gather(1, scores.argmax(-1))
    half = batch.ids.shape[1] // 2
    return float((seen == batch.ids[:, 1:])[:, half:].float().mean())


@torch.no_grad()
def test_it_finds_the_earlier_place(make_head, target):
    draw = torch.Generator().manual_seed(0)
    halves = [torch.randperm(90, generator=draw)[:30] + 3 for _ in range(12)]
    rows = [Answered(torch.cat((half, half[:2])).tolist(), half[2:].tolist(), "copies", "greedy") for half in halves]
    batch = Features(target, [lesson(rows)], (0, 1, 2), 0).get(0)
    head = make_head("eagle3")
    before = share_found(head, batch)
    head.prepare([batch])
    assert before < 0.2
    assert share_found(head, batch) > 0.7
