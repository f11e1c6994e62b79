"""Writes `data/digits.parquet` from the 1 797 scanned digits that come with scikit-learn. Nothing is downloaded.

    python examples/digits/make_data.py [--split-seed 0] [--out FILE]

Columns: `scan` (id), `pixels` (64 values, 0..16), `digit` (class; null on transfer rows that nobody labelled),
`office_label` (private rows only: a bad label source), `split`. The split seed decides which scans are test (600),
private (500: what the teachers are fitted on) and transfer (697, of which 4 per class keep their label).
The office that wrote `office_label` exchanges 3/8, 4/9 and 1/7 on 75 % of the rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TEST, PRIVATE, LABELLED_PER_CLASS, OFFICE_WRONG = 600, 500, 4, 0.75
OFFICE_TAKES_FOR = {3: 8, 8: 3, 4: 9, 9: 4, 1: 7, 7: 1}


def digits_table(split_seed: int) -> pa.Table:
    """Returns the 1 797 rows, split by seed."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.asarray(bunch.data, dtype=np.float32)
    digits = np.asarray(bunch.target, dtype=np.int64)
    rng = np.random.Generator(np.random.Philox(split_seed))
    order = rng.permutation(len(digits))
    split = np.full(len(digits), "transfer", dtype=object)
    split[order[:TEST]] = "test"
    private = order[TEST : TEST + PRIVATE]
    split[private] = "private"
    transfer = order[TEST + PRIVATE :]

    known = np.ones(len(digits), dtype=bool)
    known[transfer] = False
    for digit in range(10):
        known[transfer[digits[transfer] == digit][:LABELLED_PER_CLASS]] = True

    office: list[str | None] = [None] * len(digits)
    wrong = set(private[rng.permutation(PRIVATE)[: int(OFFICE_WRONG * PRIVATE)]].tolist())
    for row in private.tolist():
        digit = int(digits[row])
        office[row] = str(OFFICE_TAKES_FOR.get(digit, digit) if row in wrong else digit)

    parts = [set(map(bytes, pixels[split == part])) for part in ("test", "private", "transfer")]
    if sum(map(len, parts)) != len(set.union(*parts)):
        raise SystemExit("two parts share a scan")  # can't happen with the bundled data: no two scans are equal
    return pa.table(
        {
            "scan": [f"scan-{row:04d}" for row in range(len(digits))],
            "pixels": pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), 64),
            "digit": [str(digit) if seen else None for digit, seen in zip(digits, known, strict=True)],
            "office_label": office,
            "split": split.tolist(),
        }
    )


def main() -> None:
    """Reads the arguments, writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / "digits.parquet")
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(digits_table(arguments.split_seed), arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    main()
