"""Two scikit-learn models into one small network, from Python; nothing is downloaded."""

import raydistill as rd

PARTS = {"private": 0.3, "transfer": 0.4, "test": 0.3}
CONFIG = {
    "format": 1,
    "name": "quickstart",
    "data": {
        "source": {"kind": "sklearn", "name": "digits", "shares": PARTS},
        "inputs": ["features"],
        "label": "label",
        "classes": list("0123456789"),
        "split": {"column": "split"},
        "splits": {part: {"values": [part]} for part in PARTS},
    },
    "teachers": {
        name.lower(): {"backend": {"kind": "sklearn", "estimator": name}, "fit": {"rows": "private", "label": "label"}}
        for name in ("KNeighborsClassifier", "ExtraTreesClassifier")
    },
    "label": {"rows": ["transfer", "test"]},
    "student": {"kind": "mlp", "hidden": [24]},
    "objective": {"terms": {"distill": {"rows": "transfer", "method": "kl", "lenses": ["temperature"]}}},
    "train": {"epochs": 40, "batch": {"transfer": 128}},
}

if __name__ == "__main__":
    print(rd.run(CONFIG).report)
