"""Forms of the calibration questionnaire and of questionnaires about the rater."""

import re

from django import forms
from django.http import QueryDict

from annotation.tree.nodes import Scale
from calibration.instrument.items import Instrument, Item

SURROGATE = re.compile("[\ud800-\udfff]")


class RatingForm(forms.Form):
    """One rating on the study's scale."""

    rating = forms.TypedChoiceField(
        coerce=int,
        error_messages={"required": "Please choose a number.", "invalid_choice": "Please choose a number."},
    )

    def __init__(self, scale: Scale, data=None) -> None:
        super().__init__(data)
        self.fields["rating"].choices = [(level, scale.shown(level)) for level in scale.levels]
        chosen = self["rating"].value()
        self.levels = [(level, scale.shown(level), str(level) == str(chosen)) for level in scale.levels]


class QuestionnaireForm(forms.Form):
    """The items of an instrument as form fields, in order."""

    def __init__(self, instrument: Instrument, data: QueryDict | None = None) -> None:
        super().__init__(None if data is None else _mend_text(data))
        for item in instrument.items:
            self.fields[item.key] = _build_field(item)

    @property
    def answers(self) -> dict:
        """The valid answers; what was left open is left out."""
        return {key: value for key, value in self.cleaned_data.items() if value not in (None, "")}


def _mend_text(data: QueryDict) -> QueryDict:
    """Treat half a surrogate pair, which no database or page can hold, as Django treats undecodable bytes."""
    mended = data.copy()
    for name, values in data.lists():
        mended.setlist(name, [SURROGATE.sub("\ufffd", value) for value in values])
    return mended


def _build_field(item: Item) -> forms.Field:
    missing = "Please choose an answer." if item.kind == "single" else "Please fill this in."
    common = {
        "label": item.label,
        "help_text": item.help,
        "required": item.required,
        "error_messages": {"required": missing},
    }
    if item.kind == "single":
        common["error_messages"]["invalid_choice"] = missing
        return forms.ChoiceField(choices=item.options, widget=forms.RadioSelect, **common)
    if item.kind == "number":
        return forms.IntegerField(min_value=item.minimum, max_value=item.maximum, **common)
    return forms.CharField(max_length=item.max_length, widget=forms.Textarea(attrs={"rows": 3}), **common)
