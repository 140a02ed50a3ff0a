"""Reports of calibration and stability as a worker would store them, made of a few rows in a moment."""

import numpy as np
from django.utils import timezone

from modeling.models import Report
from modeling.reporting.storing import store_report
from modeling.reporting.subjects import name_subject
from modeling.reports.calibration import CalibrationData, ReadRun, describe_calibration
from modeling.reports.stability import StabilityData, describe_stability

TRUTH = np.array([[5.0, 0.0], [0.0, 5.0], [5.0, 5.0], [0.0, 0.0]])
VALUES = (("first", "First"), ("second", "Second"))


def store_calibration(expert_set, run, **more):
    """A report on four posts in which one run errs once; `more` may name an opening by `test`."""
    data = CalibrationData(
        values=VALUES,
        post_ids=range(4),
        keys=["a", "b", "c", "d"],
        reference=TRUTH,
        labels=np.stack([TRUTH, TRUTH]),
        experts=["ann", "ben"],
        threshold=3,
        runs=[
            ReadRun(run.pk, "Reader", "small", "prompt: main", 1, TRUTH[::-1].copy(), np.zeros(4, dtype=bool))
        ],
        split="test" if more else "development",
    )
    return _store(expert_set, Report.Kind.CALIBRATION, describe_calibration(data, seed=1), more)


def store_stability(expert_set, run):
    """A report on two samples of four posts."""
    data = StabilityData(
        values=VALUES,
        samples=np.stack([TRUTH, TRUTH[::-1]]),
        variants=TRUTH,
        of=np.arange(4),
        threshold=3,
        scale=(0, 6),
        run=run.pk,
        label="Reader",
        line="small",
    )
    return _store(expert_set, Report.Kind.STABILITY, describe_stability(data, seed=1), {"run": run.pk})


def _store(expert_set, kind, measures, numbers):
    subject = name_subject(set=expert_set.pk, **numbers)
    return store_report(
        expert_set.study, kind, subject, measures, [], data_hash="e" * 64, read_at=timezone.now()
    )
