"""evaluate: what every student and every teacher says on the report's rows, stored; the only use of these rows."""

from __future__ import annotations

import numpy as np

from orchestrator.report.predictions import Predictions, has_predictions, write_predictions
from orchestrator.stages.train import Trained
from orchestrator.stages.work import Work


def evaluate(work: Work, students: list[Trained]) -> None:
    """Stores the predictions of every student and seed, and the teachers' cached answers, on the report's rows."""
    from pipelines.evaluate import predict

    positions = work.dataset.positions(work.config.compare.test)
    keys, labels = work.dataset.keys[positions], work.dataset.labels_N[positions]
    # Equal rows are one row to a report that joins by content.
    once = np.sort(np.unique(keys, return_index=True)[1])
    positions, keys, labels = positions[once], keys[once], labels[once]
    with work.stage("evaluate") as facts:
        for student in students:
            if not has_predictions(work.folder.root, "students", student.name, student.seed):
                work.stop.raise_if_requested()
                logits_NC = predict(student.module(), work.training_data, positions)
                told = Predictions(keys, logits_NC, labels)
                write_predictions(work.folder.root, "students", student.name, student.seed, told)
        for name, entry in work.entries.items():
            logits_NC, present_N = entry.reader().gather(keys)
            told = Predictions(keys[present_N], logits_NC[present_N], labels[present_N])
            write_predictions(work.folder.root, "teachers", name, 0, told)
        facts["detail"] = f"{len(students)} trained students and {len(work.entries)} teachers on {len(keys)} rows"
