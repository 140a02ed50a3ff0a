from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from modeling.models import FineTuning
from modeling.tuning import handlers
from tests.modeling.tuning.taught import make_base, make_well_rated_study, serve

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
SET = {"more_raters_than": 5, "n_drawn": 20, "n_kept": 12}


@pytest.fixture
def study(monkeypatch):
    monkeypatch.setattr(handlers, "POLL_SECONDS", 0.05)
    return make_well_rated_study()


def call(study, **options):
    out = StringIO()
    call_command("fine_tune", study.slug, name="Taught", stdout=out, **SET | options)
    return out.getvalue()


def test_without_a_base_a_local_encoder_is_taught(study):
    told = call(study)
    assert "20 drawn, 12 kept" in told and "the annotator model Taught, version 1" in told
    assert study.annotators.get().kind == "encoder"


def test_with_a_base_the_estimate_is_told_before_anything_is_sent(study, settings, monkeypatch):
    with serve(settings) as standin:
        base = make_base(study)
        monkeypatch.setattr("builtins.input", lambda question: "no")
        with pytest.raises(CommandError, match="Nothing was sent"):
            call(study, base=base.pk, model="standin-small")
        assert not standin.requests.read()
        told = call(study, base=base.pk, model="standin-small", yes=True)
    assert "Estimate: $0.00. 12 examples" in told
    assert study.annotators.get(kind="fine_tuned").made_by == FineTuning.objects.first()


def test_what_cannot_be_is_told_in_a_sentence(study):
    for options, told in (
        ({"n_kept": 30}, "Keep from 1 post"),
        ({"base": 0}, "has no annotator model 0"),
        ({"n_drawn": 100}, "100 posts are to be drawn, and 29 can be"),
    ):
        with pytest.raises(CommandError, match=told):
            call(study, **options)
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        call_command("fine_tune", "nowhere", name="x")
