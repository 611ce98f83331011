"""Exact laws on tiny vocabularies: random models, every course of a random procedure, and distances between laws."""

from collections import defaultdict
from math import prod

import torch


def random_law(generator, size, sparse):
    """A distribution over `size` tokens; with zeros where sparse."""
    weights = torch.rand(size, generator=generator, dtype=torch.float64) ** 3
    if sparse:
        weights[torch.randperm(size, generator=generator)[: size // 2]] = 0
    return weights / weights.sum()


class Laws:
    """A random distribution for every prefix of tokens."""

    def __init__(self, seed, size, sparse):
        self.generator, self.size, self.sparse, self.known = torch.Generator().manual_seed(seed), size, sparse, {}

    def __getitem__(self, prefix):
        if prefix not in self.known:
            self.known[prefix] = random_law(self.generator, self.size, self.sparse)
        return self.known[prefix]


def courses(procedure):
    """procedure(choose) -> outcome, where choose(weights) -> index stands for everything random.

    Yields (outcome, probability) of every course it can take: it is run again for each, so it must be deterministic
    but for `choose`.
    """
    script = []
    while script is not None:
        trace = []

        def choose(weights, script=script, trace=trace):
            weights = list(weights)
            possible = [i for i, weight in enumerate(weights) if weight > 0]
            trace.append((script[len(trace)] if len(trace) < len(script) else possible[0], possible, weights))
            return trace[-1][0]

        outcome = procedure(choose)
        yield outcome, prod(weights[index] for index, _, weights in trace)
        script = _next_script(trace)


def _next_script(trace):
    while trace:
        index, possible, _ = trace.pop()
        if index != possible[-1]:
            return [earlier for earlier, _, _ in trace] + [possible[possible.index(index) + 1]]
    return None


class Coin:
    """Stands for a uniform number in (0, 1): every comparison decides no more of it than it must."""

    def __init__(self, choose):
        self.choose, self.low, self.high = choose, 0.0, 1.0

    def __lt__(self, chance):
        if not self.low < chance < self.high:
            return chance >= self.high
        below = (chance - self.low) / (self.high - self.low)
        if self.choose((below, 1 - below)) == 0:
            self.high = chance
        else:
            self.low = chance
        return self.high == chance


def emitted_law(procedure):
    """{tokens: probability} of a procedure that returns the tokens a step emits."""
    law = defaultdict(float)
    for tokens, mass in courses(procedure):
        law[tuple(tokens)] += mass
    return law


def bias(law, p, length):
    """Total variation between (what a step emits, then the target) and the target alone, over `length` tokens."""
    difference = {tokens: -mass for tokens, mass in continued({(): 1.0}, p, length).items()}
    for tokens, mass in continued(law, p, length).items():
        difference[tokens] += mass
    return sum(map(abs, difference.values())) / 2


def continued(law, p, length):
    """The law of `length` tokens when p goes on after those of `law`."""
    whole = defaultdict(float)
    for tokens, mass in law.items():
        level = {tokens: mass}
        for _ in range(length - len(tokens)):
            level = {(*t, x): m * chance for t, m in level.items() for x, chance in enumerate(p[t].tolist())}
        for t, m in level.items():
            whole[t] += m
    return whole


def mean_accepted(law):
    """Drafted tokens accepted on average."""
    return sum(mass * (len(tokens) - 1) for tokens, mass in law.items())
