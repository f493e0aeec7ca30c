"""Muon and AdamW as one optimiser: what each moves, and that a saved state goes on."""

import torch
from torch import nn
from torch.optim import AdamW

from unite.training.muon import Muon
from unite.training.optimiser import MuonAdamW


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Embedding(7, 6), nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 4))


def loss(net: nn.Module, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return net(torch.randint(0, 7, (9,), generator=generator)).square().sum()


def run(net: nn.Module, optimisers: list[torch.optim.Optimizer], steps: range) -> None:
    for step in steps:
        net.zero_grad()
        loss(net, step).backward()
        for optimiser in optimisers:
            optimiser.step()


def joint(net: nn.Module) -> MuonAdamW:
    return MuonAdamW(net, learning_rate=1e-2, muon_learning_rate=0.02, weight_decay=0.1)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_it_steps_as_the_two_optimisers_would_apart() -> None:
    one, other = network(), network()
    matrices = [other[1].weight, other[3].weight]
    small = [part for part in other.parameters() if part.dim() == 1]
    apart = [
        Muon(matrices, lr=0.02, weight_decay=0.1),
        AdamW([other[0].weight], lr=1e-2, weight_decay=0.1),
        AdamW(small, lr=1e-2, weight_decay=0.0),
    ]
    run(one, [joint(one)], range(5))
    run(other, apart, range(5))
    assert same(one, other)
    assert not same(one, network())


def test_a_saved_state_goes_on_bit_for_bit() -> None:
    whole, first, second = network(), network(), network(1)
    run(whole, [joint(whole)], range(6))
    before = joint(first)
    run(first, [before], range(3))
    second.load_state_dict(first.state_dict())
    after = joint(second)
    after.load_state_dict(before.state_dict())
    run(second, [after], range(3, 6))
    assert same(whole, second)


def test_a_schedule_moves_both_rates() -> None:
    net = network()
    optimiser = joint(net)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.5**step)
    run(net, [optimiser], range(1))
    schedule.step()
    assert [group["lr"] for group in optimiser.param_groups] == [5e-3, 5e-3, 0.01]


def test_epsilon_is_of_adamw() -> None:
    usual, large = network(), network()
    run(usual, [joint(usual)], range(1))
    optimiser = MuonAdamW(
        large, learning_rate=1e-2, muon_learning_rate=0.02, weight_decay=0.1, epsilon=1e3
    )
    run(large, [optimiser], range(1))
    assert torch.equal(usual[1].weight, large[1].weight)
    start = network()[0].weight.detach() * (1 - 1e-2 * 0.1)
    moved = [(net[0].weight.detach() - start).abs().max() for net in (usual, large)]
    assert moved[0] > 5e-3
    assert moved[1] < 1e-3


def test_frozen_parameters_are_nobodys() -> None:
    net = network()
    net[1].requires_grad_(False)
    held = {id(part) for group in joint(net).param_groups for part in group["params"]}
    assert held == {id(part) for part in net.parameters() if part.requires_grad}
