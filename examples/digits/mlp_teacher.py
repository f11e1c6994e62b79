"""A multi-layer perceptron on flat scans; a guest module: `--plugin examples/digits/mlp_teacher.py`."""

import torch
from torch import nn

KIND = "module"
CLASSES = tuple("0123456789")


def build(hidden: int = 128) -> nn.Module:
    """Returns the untrained network: [B, 64] -> logits [B, 10]."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))
