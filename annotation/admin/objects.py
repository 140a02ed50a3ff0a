"""JSON objects as staff write and read them."""

import json

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html

from annotation.tree.nodes import UNSTORABLE


def show_json(data: object) -> str:
    return format_html('<pre class="data">{}</pre>', json.dumps(data, indent=2, ensure_ascii=False))


class ObjectField(forms.JSONField):
    """A JSON object; an empty field is an empty object."""

    widget = forms.Textarea(attrs={"class": "vLargeTextField json", "spellcheck": "false"})

    def __init__(self, **kwargs) -> None:
        # What has changed is told from the row; a model's default of {} would have the browser send it along.
        super().__init__(**kwargs | {"show_hidden_initial": False})

    def to_python(self, value):
        data = super().to_python(value)
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise ValidationError("Write a JSON object: { ... }.")
        try:
            text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise ValidationError("JSON has no NaN and no infinite numbers.") from error
        if UNSTORABLE.search(text) or "\\u0000" in text:
            raise ValidationError("This contains a character that cannot be stored; please type it anew.")
        return data

    def prepare_value(self, value):
        return (
            json.dumps(value, indent=2, ensure_ascii=False)
            if isinstance(value, dict)
            else super().prepare_value(value)
        )
