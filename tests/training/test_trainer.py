"""What the trainer makes of a model before it takes a step."""

from torch import nn

from unite.loss.module import MamclLoss
from unite.training.trainer import UniteTrainer


def test_decay_shrinks_matrices_and_no_learned_temperature() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    loss = MamclLoss(network, temperature_bounds=(0.01, 0.1))
    trainer = UniteTrainer.__new__(UniteTrainer)  # it would want data
    assert loss.log_temperature.requires_grad
    assert trainer.get_decay_parameter_names(loss) == ["model.0.weight"]
