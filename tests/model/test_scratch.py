from __future__ import annotations

import torch

from unite.model.checkpoint import Model
from unite.model.scratch import random_model

SMALL = {"width": 32, "mlp_width": 32, "vision_width": 32, "vision_heads": 2, "vocabulary": 260}


def test_equal_seeds_give_equal_models() -> None:
    one, same, other = (random_model(["a boat"], seed=seed, **SMALL) for seed in (1, 1, 2))
    assert one.id == same.id
    assert one.id != other.id
    torch.manual_seed(7)  # the process's own generator plays no part
    assert random_model(["a boat"], seed=1, **SMALL).id == one.id


def test_norms_are_one_biases_nought_and_matrices_spread(tiny_model: Model) -> None:
    for name, parameter in tiny_model.encoder.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif parameter.dim() == 1:
            assert (parameter == 1).all(), name
        else:
            assert 0.02 < float(parameter.detach().std()) < 0.08, name


def test_it_knows_nothing_but_the_small_world() -> None:
    assert random_model(["a boat"], **SMALL).policy.small_world


def test_its_parts_fit(tiny_model: Model) -> None:
    assert tiny_model.policy.frames.nframes == 4
    config = tiny_model.encoder.config
    assert config.vocabulary == tiny_model.tokenizer.get_vocab_size()
    assert config.image_token_id != config.video_token_id
    assert tiny_model.dim == config.width == 32
