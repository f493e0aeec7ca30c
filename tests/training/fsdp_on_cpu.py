"""`unite` with FSDP on CPUs: accelerate shards on accelerators only and falls back to DDP in silence."""

from __future__ import annotations

from typing import Any

from accelerate import state
from accelerate.utils import DistributedType

from unite.cli.main import run

_begin = state.AcceleratorState.__init__


def _sharding(self: Any, *args: Any, fsdp_plugin: Any = None, **options: Any) -> None:
    _begin(self, *args, fsdp_plugin=fsdp_plugin, **options)
    if fsdp_plugin is not None:
        self.distributed_type = DistributedType.FSDP
        self.fsdp_plugin = fsdp_plugin
        state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP


if __name__ == "__main__":
    state.AcceleratorState.__init__ = _sharding
    run()
