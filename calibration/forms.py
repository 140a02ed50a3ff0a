"""Forms of the calibration questionnaire and of questionnaires about the rater."""

import re
from collections.abc import Iterable, Iterator, Mapping

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from annotation.tree.nodes import UNSTORABLE, Scale
from calibration.instrument.items import DECLINED, MAX_NUMBER, Instrument, Item

DECLINE_SUFFIX = "-declined"  # no answer key holds a hyphen
DECLINE_LABEL = gettext_lazy("Prefer not to say")
NUMBER = re.compile(r"[+-]?\d{1,15}")
TEMPLATES = {
    "single": "calibration/_choices.html",
    "multiple": "calibration/_choices.html",
    "grid": "calibration/_grid.html",
    "number": "calibration/_entry.html",
    "text": "calibration/_entry.html",
}


class RatingForm(forms.Form):
    """One rating on the study's scale."""

    rating = forms.TypedChoiceField(
        coerce=int,
        error_messages=dict.fromkeys(("required", "invalid_choice"), gettext_lazy("Please choose a number.")),
    )

    def __init__(
        self, scale: Scale, data: QueryDict | None = None, *, draft: QueryDict | None = None
    ) -> None:
        super().__init__(data, initial={"rating": draft.get("rating")} if draft else None)
        self.fields["rating"].choices = [(level, scale.shown(level)) for level in scale.levels]
        chosen = self["rating"].value()
        self.levels = [(level, scale.shown(level), str(level) == str(chosen)) for level in scale.levels]


class Question:
    """An item as it stands on the page: `fields` has one, or one for each row of a grid."""

    def __init__(self, form: "QuestionnaireForm", item: Item) -> None:
        self.item = item
        self.template = TEMPLATES[item.kind]
        self.fields = [form[key] for key in item.answer_keys]
        self.field = self.fields[0]
        self.decline = form[item.key + DECLINE_SUFFIX] if _has_decline_box(item) else None
        self.levels = [label for _value, label in list_choices(item)]

    @property
    def help_id(self) -> str:
        return f"id_{self.item.key}_helptext" if self.item.help else ""

    @property
    def described_by(self) -> str:
        """The ids of the help and of the error, for `aria-describedby`."""
        error_id = f"{self.field.auto_id}_error" if self.field.errors and len(self.fields) == 1 else ""
        return " ".join(part for part in (self.help_id, error_id) if part)


class QuestionnaireForm(forms.Form):
    """The items of an instrument as form fields, in order; `questions` is what a page shows.

    `data` is a submit, to be checked. `draft` is what someone had filled in before, to be shown again without a
    word about what is missing or wrong: what cannot be shown is left out.
    """

    use_required_attribute = False  # the server says what is missing, in words of its own

    def __init__(
        self, instrument: Instrument, data: QueryDict | None = None, draft: QueryDict | None = None
    ) -> None:
        self.instrument = instrument
        self._as_sent = data if data is not None else QueryDict()
        super().__init__(
            None if data is None else _mend_text(data),
            initial=dict(_read_draft(instrument, _mend_text(draft or QueryDict()))),
        )
        for item in instrument.items:
            for key, label in item.rows or ((item.key, item.label),):
                self.fields[key] = _build_field(item, label)
            if _has_decline_box(item):
                self.fields[item.key + DECLINE_SUFFIX] = _build_decline_box()
        self.questions = [Question(self, item) for item in instrument.items]

    def clean(self) -> dict:
        for item in self.instrument.items:
            for key in item.answer_keys:
                sent = self._as_sent.getlist(key)
                if key in self.errors:
                    continue
                if item.kind != "multiple" and len(set(sent)) > 1:
                    self.add_error(key, _("Please give one answer."))
                elif item.kind == "text" and UNSTORABLE.search("".join(sent)):
                    self.add_error(
                        key,
                        _(
                            "This contained a character that cannot be stored; \ufffd stands in its place now."
                        ),
                    )
            if _has_decline_box(item):
                self._clean_decline(item)
        return self.cleaned_data

    def _clean_decline(self, item: Item) -> None:
        declined = DECLINED in (self.cleaned_data.pop(item.key + DECLINE_SUFFIX) or [])
        if item.key in self.errors:
            return
        is_given = self.cleaned_data[item.key] not in (None, "")
        if declined and is_given:
            self.add_error(item.key, _("Please either answer or mark 'Prefer not to say', not both."))
        elif declined:
            self.cleaned_data[item.key] = DECLINED
        elif item.required and not is_given:
            self.add_error(item.key, _("Please fill this in, or mark 'Prefer not to say'."))

    @property
    def answers(self) -> dict:
        """The valid answers by key; what was left open is left out, what was declined is `DECLINED`."""
        return {key: value for key, value in self.cleaned_data.items() if value not in (None, "", [])}

    @property
    def n_wrong(self) -> int:
        return len(self.errors)

    @property
    def first_wrong(self) -> str:
        """The id of the first field that needs another look."""
        field = next(field for question in self.questions for field in question.fields if field.errors)
        return field.subwidgets[0].id_for_label if len(field.subwidgets) > 1 else field.id_for_label


def _has_decline_box(item: Item) -> bool:
    """Whether declining is a box beside the field; elsewhere it is one more option."""
    return item.prefer_not_to_say and item.kind in ("number", "text")


def list_choices(item: Item) -> list[tuple[str, str]]:
    """Return what an item offers to choose from, as (value, label); a form's values are text."""
    choices = [(str(value), label) for value, label in item.options]
    return [*choices, (DECLINED, DECLINE_LABEL)] if item.prefer_not_to_say and choices else choices


def _read_limits(item: Item) -> dict[str, int]:
    limits = {"data-min": item.minimum, "data-max": item.maximum}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _mend_text(data: QueryDict) -> QueryDict:
    """Put what no database or page can hold in a form that can be shown again."""
    mended = data.copy()
    for name, values in data.lists():
        mended.setlist(name, [UNSTORABLE.sub("\ufffd", value) for value in values])
    return mended


def _read_draft(instrument: Instrument, draft: QueryDict) -> Iterator[tuple[str, object]]:
    for item in instrument.items:
        offered = {value for value, _label in list_choices(item)}
        for key in item.answer_keys:
            kept = draft.getlist(key)
            if offered:
                kept = [value for value in kept if value in offered]
            if item.kind == "multiple":
                yield key, kept
            elif kept:
                yield key, kept[-1]
        if _has_decline_box(item) and DECLINED in draft.getlist(item.key + DECLINE_SUFFIX):
            yield item.key + DECLINE_SUFFIX, [DECLINED]


class SingleField(forms.ChoiceField):
    """One of an item's options, as the value that the item gives it."""

    def __init__(self, item: Item, **kwargs) -> None:
        super().__init__(choices=list_choices(item), widget=forms.RadioSelect, **kwargs)
        self._values = {str(value): value for value, _label in item.options}

    def clean(self, value):
        chosen = super().clean(value)
        return self._values.get(chosen, chosen)


class MultipleField(forms.MultipleChoiceField):
    """Several of an item's options, in the item's order; `DECLINED` alone if that was marked."""

    def __init__(self, item: Item, **kwargs) -> None:
        super().__init__(
            choices=list_choices(item),
            widget=CheckboxesWithLimits(item.exclusive, _read_limits(item)),
            **kwargs,
        )
        self._item = item

    def clean(self, value):
        chosen = set(super().clean(value))
        alone = chosen & {*self._item.exclusive, DECLINED}
        if alone and len(chosen) > 1:
            labels = dict(self.choices)
            label = next(labels[value] for value, _label in self.choices if value in alone)
            raise ValidationError(
                _("Please mark either '%(label)s' or other answers, not both.") % {"label": label}
            )
        if DECLINED in chosen and self._item.prefer_not_to_say:
            return DECLINED
        if chosen and not alone:
            self._check_number(len(chosen))
        return [value for value, _label in self._item.options if value in chosen]

    def _check_number(self, n_chosen: int) -> None:
        least, most = self._item.minimum or 1, self._item.maximum
        if most is not None and self._item.minimum == most and n_chosen != most:
            raise ValidationError(
                ngettext("Please choose exactly %(n)d answer.", "Please choose exactly %(n)d answers.", least)
                % {"n": least}
            )
        if n_chosen < least:
            raise ValidationError(
                ngettext(
                    "Please choose at least %(n)d answer.", "Please choose at least %(n)d answers.", least
                )
                % {"n": least}
            )
        if most is not None and n_chosen > most:
            raise ValidationError(
                ngettext("Please choose at most %(n)d answer.", "Please choose at most %(n)d answers.", most)
                % {"n": most}
            )


class CheckboxesWithLimits(forms.CheckboxSelectMultiple):
    """Boxes that tell scripts and simulated raters which go alone and how many go together."""

    def __init__(self, exclusive: Iterable[str] = (), limits: Mapping[str, int] | None = None) -> None:
        super().__init__(attrs=limits)
        self._alone = {*exclusive, DECLINED}

    def create_option(self, name, value, *args, **kwargs):
        option = super().create_option(name, value, *args, **kwargs)
        if value in self._alone:
            option["attrs"]["data-exclusive"] = True
        return option


class WholeNumberField(forms.CharField):
    """A whole number between an item's bounds, in any digits; a wrong one is told what would be right.

    A text field on purpose: what someone typed comes back to them, whatever it was.
    """

    def __init__(self, item: Item, **kwargs) -> None:
        # Some telephones' number keys have no minus sign.
        is_positive = item.minimum is not None and item.minimum >= 0
        attrs = _read_limits(item) | {
            "inputmode": "numeric" if is_positive else "text",
            "data-number": True,
            "autocomplete": "off",
        }
        super().__init__(widget=forms.TextInput(attrs=attrs), **kwargs)
        self._low, self._high = item.minimum, item.maximum
        self.validators = []

    def clean(self, value):
        text = super().clean(value)
        if not text:
            return None
        number = int(text) if NUMBER.fullmatch(text) else None
        low = -MAX_NUMBER if self._low is None else self._low
        high = MAX_NUMBER if self._high is None else self._high
        if number is None or not low <= number <= high:
            raise ValidationError(self._ask())
        return number

    def _ask(self) -> str:
        # Without a separator of thousands: it may be a year.
        bounds = {"low": number_format(self._low or 0), "high": number_format(self._high or 0)}
        if self._low is not None and self._high is not None:
            return _("Please give a whole number from %(low)s to %(high)s.") % bounds
        if self._low is not None:
            return _("Please give a whole number of %(low)s or more.") % bounds
        if self._high is not None:
            return _("Please give a whole number of %(high)s or less.") % bounds
        return _("Please give a whole number.")


class ShortTextField(forms.CharField):
    """A text of at most an item's length, with line breaks as one character each."""

    def __init__(self, item: Item, **kwargs) -> None:
        attrs = {"rows": 3, "maxlength": item.max_length}
        super().__init__(widget=forms.Textarea(attrs=attrs), **kwargs)
        self._max_length = item.max_length
        self.validators = []

    def to_python(self, value):
        return super().to_python(value).replace("\r\n", "\n")

    def clean(self, value):
        text = super().clean(value)
        if len(text) > self._max_length:
            raise ValidationError(
                ngettext(
                    "Please shorten this to %(most)s character; it has %(n)s now.",
                    "Please shorten this to %(most)s characters; it has %(n)s now.",
                    self._max_length,
                )
                % {
                    "most": number_format(self._max_length, force_grouping=True),
                    "n": number_format(len(text), force_grouping=True),
                }
            )
        return text


FIELDS = {
    "single": SingleField,
    "multiple": MultipleField,
    "grid": SingleField,
    "number": WholeNumberField,
    "text": ShortTextField,
}
MISSING = {
    "single": gettext_lazy("Please choose an answer."),
    "grid": gettext_lazy("Please choose an answer."),
    "multiple": gettext_lazy("Please choose at least one answer."),
    "number": gettext_lazy("Please fill this in."),
    "text": gettext_lazy("Please fill this in."),
}


def _build_field(item: Item, label: str) -> forms.Field:
    missing = MISSING[item.kind]
    return FIELDS[item.kind](
        item,
        label=label,
        help_text="" if item.rows else item.help,
        required=item.required and not _has_decline_box(item),
        error_messages=dict.fromkeys(("required", "invalid_choice", "invalid_list"), missing),
    )


def _build_decline_box() -> forms.Field:
    """Return a box that is marked or not: whatever else is sent in its name says nothing."""
    box = CheckboxesWithLimits()
    box.choices = [(DECLINED, DECLINE_LABEL)]
    return forms.Field(widget=box, required=False)
