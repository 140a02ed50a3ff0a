from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from modeling.estimators.audit import ANSWERS, CHECKS
from modeling.management.commands import audit_fit
from tests.factories import StudyFactory
from tests.modeling.rated import make_rated_study

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


def run(study, *options):
    out = StringIO()
    try:
        call_command("audit_fit", study.slug, *options, stdout=out, stderr=StringIO())
        return out.getvalue(), None
    except CommandError as error:
        return out.getvalue(), error


def test_an_honest_study_passes_and_every_check_is_listed():
    said, error = run(make_rated_study(n_values=3, has_text=False), "--method", "forest")
    assert error is None
    for check in CHECKS:
        assert f"\n{check}" in f"\n{said}"
    assert "FAILED" not in said
    assert "fitted by 'forest'" in said


def test_a_leak_ends_with_an_error_that_says_what_it_means(monkeypatch):
    honest = audit_fit.audit

    def audit_of_a_leak(data, settings, *, report):
        """As if the answers had been made of the ratings."""
        answers = [data.ratings[data.raters == rater].mean(axis=0) for rater in range(data.n_raters)]
        return honest(replace(data, answers=np.array(answers)), settings, report=report, checks=[ANSWERS])

    monkeypatch.setattr(audit_fit, "audit", audit_of_a_leak)
    said, error = run(make_rated_study(n_values=3), "--method", "consensus")
    assert "FAILED" in said
    assert error.returncode == 1
    assert "Failed: answers. Held-out figures" in str(error)


def test_what_cannot_be_audited_is_refused_with_the_reason():
    study = StudyFactory()
    _, error = run(study)
    assert f"Study '{study.slug}' cannot be audited: " in str(error)
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        call_command("audit_fit", "nowhere")
