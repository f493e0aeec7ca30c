"""The contrastive losses of UNITE."""

from unite.loss.mamcl import Contrast, mamcl_loss
from unite.loss.module import MamclLoss

__all__ = ["Contrast", "MamclLoss", "mamcl_loss"]
