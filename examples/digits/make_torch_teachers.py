"""Trains the two torch teachers of `torch_teachers.yaml` on the private rows and writes their weights.

    python examples/digits/make_data.py && python examples/digits/make_torch_teachers.py [--data FILE] [--out FOLDER]

Weights are safetensors with the class names in their metadata; seeds are fixed. Each teacher has its own
preprocessing, which stands in the configuration as data and has to be the one used here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
EPOCHS, BATCH, LEARNING_RATE = 60, 50, 3e-3
# name of the guest file -> (scale, shift, shape of a row)
TEACHERS: dict[str, tuple[float, float, tuple[int, ...]]] = {
    "cnn": (0.125, -1.0, (1, 8, 8)),  # pixels -1..1
    "mlp_teacher": (0.0625, 0.0, (64,)),  # pixels 0..1
}


def private_rows(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns pixels float32 [N, 64] and digits int64 [N] of the private rows."""
    table = pq.read_table(path)
    table = table.filter(pc.equal(table["split"], "private"))
    pixels = table["pixels"].combine_chunks().flatten().to_numpy().reshape(-1, 64)
    return pixels, np.array([int(digit) for digit in table["digit"].to_pylist()], dtype=np.int64)


def train(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> None:
    """Trains in place: Adam, cosine decay, seed 0."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        order = torch.randperm(len(labels), generator=generator)
        for start in range(0, len(labels), BATCH):
            batch = order[start : start + BATCH]
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(inputs[batch]), labels[batch]))
            optimizer.step()
        schedule.step()
    model.eval()


def load_module(name: str) -> ModuleType:
    """Imports the guest file beside this script."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{name}.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Reads the arguments, trains, writes one weight file per teacher."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=HERE / "data" / "digits.parquet")
    parser.add_argument("--out", type=Path, default=HERE / "weights")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums in another order give other weights
    pixels, digits = private_rows(arguments.data)
    labels = torch.from_numpy(digits)
    for name, (scale, shift, shape) in TEACHERS.items():
        module = load_module(name)
        torch.manual_seed(0)
        model = module.build()
        inputs = torch.from_numpy(pixels * np.float32(scale) + np.float32(shift)).reshape(-1, *shape)
        train(model, inputs, labels)
        path = arguments.out / f"{name}.safetensors"
        save_file(model.state_dict(), path, metadata={"classes": json.dumps(list(module.CLASSES))})
        with torch.inference_mode():
            correct = (model(inputs).argmax(dim=1) == labels).float().mean().item()
        print(f"{path}  {correct:.1%} of the private rows")


if __name__ == "__main__":
    main()
