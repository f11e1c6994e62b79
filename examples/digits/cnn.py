"""A small convolutional network on 8 x 8 scans; a guest module: `--plugin examples/digits/cnn.py`."""

import torch
from torch import nn

KIND = "module"
CLASSES = tuple("0123456789")


def build(channels: int = 16) -> nn.Module:
    """Returns the untrained network: [B, 1, 8, 8] -> logits [B, 10]."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(8 * channels, 10),
    )
