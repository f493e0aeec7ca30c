"""A network whose parameters several processes share (FSDP2): gathered, filled, made whole again.

What is not sharded is left as it is, so that the trainer need not ask.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def trained(network: nn.Module) -> dict[str, Tensor]:
    """The parameters that take a gradient, whole, on the CPU; all processes must call."""
    return {
        name: whole(part).contiguous()
        for name, part in network.named_parameters()
        if part.requires_grad
    }


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Set parameters by name from whole ones; all processes must call."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    options = StateDictOptions(full_state_dict=True, strict=False)
    set_model_state_dict(network, dict(weights), options=options)


def make_whole(network: nn.Module) -> None:
    """Put whole parameters in the place of sharded ones; all processes must call."""
    for module in network.modules():
        for name, part in list(module.named_parameters(recurse=False)):
            if isinstance(part, DTensor):
                full = nn.Parameter(whole(part), requires_grad=part.requires_grad)
                setattr(module, name, full)


def whole(part: Tensor) -> Tensor:
    """All of a tensor, on the CPU; all processes must call."""
    full: Tensor = part.full_tensor() if isinstance(part, DTensor) else part
    return full.detach().cpu()
