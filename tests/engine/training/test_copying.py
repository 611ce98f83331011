"""The prepared network copies before it is trained; a shape without room for that is refused."""

import pytest
import torch
import torch.nn.functional as F

from engine.training.copying import prepare_to_copy
from engine.training.network import Network, Shape


def share_copied(network):
    torch.manual_seed(1)
    half = torch.randint(0, network.shape.vocab_size, (4, 60))
    ids = torch.cat((half, half), 1)
    with torch.no_grad():
        said = F.linear(network(ids), network.embedding).argmax(-1)
    return float((said[:, 60:-1] == ids[:, 61:]).float().mean())


def test_an_untrained_network_repeats_random_tokens():
    torch.manual_seed(0)
    network = Network(Shape(num_layers=3))
    assert share_copied(network) < 0.05
    prepare_to_copy(network)
    assert share_copied(network) > 0.85


def test_a_shape_without_room_is_refused():
    with pytest.raises(ValueError, match="copying_start=false"):
        prepare_to_copy(Network(Shape(hidden_size=64)))
