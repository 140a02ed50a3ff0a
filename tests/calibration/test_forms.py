import pytest
from django.http import QueryDict

from calibration.forms import QuestionnaireForm
from calibration.instrument.items import Instrument

ITEMS = [
    {
        "key": "gender",
        "kind": "single",
        "label": "Gender?",
        "options": [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}],
        "required": True,
    },
    {"key": "age", "kind": "number", "label": "Age?", "min": 18, "max": 120, "required": True},
    {"key": "comments", "kind": "text", "label": "Comments?", "required": True},
]


@pytest.mark.parametrize(
    ("key", "sent", "expected"),
    [
        ("gender", "", "Please choose an answer."),
        ("gender", "pirates", "Please choose an answer."),
        ("age", "", "Please fill this in."),
        ("comments", " ", "Please fill this in."),
    ],
)
def test_what_is_missing_is_asked_for_in_plain_words(key, sent, expected):
    instrument = Instrument.from_dict({"key": "q", "version": 1, "title": "You", "items": ITEMS})
    form = QuestionnaireForm(instrument, QueryDict(f"gender=a&age=44&comments=x&{key}={sent}"))
    assert form.errors == {key: [expected]}
