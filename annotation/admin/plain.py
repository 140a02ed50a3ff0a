"""Settings that are kept as JSON, as fields that one fills in without knowing JSON.

A `Setting` is one place of a JSON object. What was typed into its field goes to that place; every other place stays
as it was. A place whose content a field could not give back exactly has no field: it is changed as JSON.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from annotation.models import Outcome, Study

HEADING = "##"
TWICE = "This was changed here and in the fields above. Take one of the two back."
SECTIONS_HELP = (
    "An empty line separates paragraphs. A line that begins with ## is a heading and begins a section."
)


class PlainText(forms.CharField):
    """Text whose lines end alike, whatever the browser made of them."""

    def to_python(self, value: Any) -> str:
        return super().to_python(value).replace("\r\n", "\n")


def make_text(
    label: str, help_text: str, rows: int = 0, **options: Any
) -> Callable[[Study | None], forms.Field]:
    """Return what makes a field for text: of one line, or with `rows` of several."""
    shape = {"class": "vLargeTextField", "rows": rows} if rows else {"class": "vTextField"}
    widget = forms.Textarea if rows else forms.TextInput
    return lambda study: PlainText(
        label=label, help_text=help_text, required=False, widget=widget(attrs=shape), **options
    )


def make_number(label: str, help_text: str, **options: Any) -> Callable[[Study | None], forms.Field]:
    """Return what makes a field for a whole number."""
    return lambda study: forms.IntegerField(label=label, help_text=help_text, required=False, **options)


def make_choice(
    label: str, help_text: str, choices: Callable[[Study | None], Sequence[tuple[str, str]]]
) -> Callable[[Study | None], forms.Field]:
    """Return what makes a field that offers what `choices` names for a study."""
    return lambda study: forms.ChoiceField(
        label=label, help_text=help_text, required=False, choices=choices(study)
    )


def keep(value: Any) -> Any:
    return value


def show_sections(sections: Any) -> str:
    """Return sections as text, each heading on a line of its own after '##'."""
    if sections is None:
        return ""
    blocks = []
    for place, section in enumerate(sections):
        heading = section.get("heading")
        if heading is not None:
            blocks.append(f"{HEADING} {heading}\n{section['text']}")
        else:
            blocks.append(f"{HEADING}\n{section['text']}" if place else section["text"])
    return "\n\n".join(blocks)


def read_sections(text: str) -> list[dict[str, str]] | None:
    """Read sections back from text; None for no text. Raises ValidationError for a heading without text."""
    sections: list[dict[str, str]] = []
    lines: list[str] = []

    def close() -> None:
        body = "\n".join(lines).strip()
        lines.clear()
        if sections and "text" not in sections[-1]:
            if not body:
                named = sections[-1].get("heading", "")
                raise ValidationError(f"The section '{named}' has no text. Write some below its heading.")
            sections[-1]["text"] = body
        elif body:
            sections.append({"text": body})

    for line in text.split("\n"):
        if line == HEADING or line.startswith(HEADING + " "):
            close()
            heading = line.removeprefix(HEADING).strip()
            sections.append({"heading": heading} if heading else {})
        else:
            lines.append(line)
    close()
    return sections or None


@dataclass(frozen=True)
class Setting:
    """One place of a JSON object with its field.

    `path` leads to the place; `make_field` makes the field for a study, None for one that is not stored yet;
    `show` turns what is stored into what the field shows, `read` turns it back. Where there is nothing, `show` gets
    None. `standard` is what a new object gets there unless something else is chosen. What `replaces` something has
    its field even where that something cannot be shown, so that another can be chosen in its place.
    """

    name: str
    path: tuple[str, ...]
    make_field: Callable[[Study | None], forms.Field]
    kinds: tuple[str, ...] = ()
    show: Callable[[Any], Any] = keep
    read: Callable[[Any], Any] = keep
    standard: Any = None
    replaces: bool = False

    def get(self, data: Any) -> Any:
        """Return what is stored in this place, None for nothing. Raises TypeError where no place can be."""
        for key in self.path:
            if data is None:
                return None
            if not isinstance(data, dict):
                raise TypeError(f"{key!r} can only stand in an object")
            data = data.get(key)
        return data

    def put(self, data: dict[str, Any], value: Any) -> None:
        """Store something in this place; None and '' leave the place, and what led only to it, out."""
        *way, last = self.path
        if value in (None, ""):
            holder = self._find(data, way)
            if holder is not None:
                holder.pop(last, None)
                if way and not holder:
                    self._find(data, way[:-1]).pop(way[-1])
            return
        for key in way:
            data = data.setdefault(key, {})
        data[last] = value

    def _find(self, data: Any, way: Sequence[str]) -> Any:
        for key in way:
            data = data.get(key) if isinstance(data, dict) else None
        return data

    def can_show(self, data: Any, field: forms.Field) -> bool:
        """Whether the field would give back exactly what is stored."""
        try:
            stored = self.get(data)
            if stored is None:
                return True
            given_back = self.read(field.clean(self.show(stored)))
        except (TypeError, ValueError, AttributeError, KeyError, ValidationError):
            return False
        return given_back == stored and type(given_back) is type(stored)


class PlainSettings:
    """What a form with a field of JSON has besides: the settings of that JSON as fields of their own."""

    def add_settings(self, settings: Sequence[Setting], data: Any, study: Study | None) -> list[Setting]:
        """Add a field for each setting that can be shown; return those that cannot."""
        left_out = []
        for setting in settings:
            field = setting.make_field(study)
            fits = setting.can_show(data, field)
            if not fits and not setting.replaces:
                left_out.append(setting)
                continue
            stored = setting.get(data) if fits else None
            self.fields[setting.name] = field
            self.initial[setting.name] = setting.show(setting.standard if stored is None else stored)
        return left_out

    def merge_settings(self, raw: str, settings: Sequence[Setting], data: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON with what was typed into the fields of its settings, naming faults beside the fields."""
        changed = [s for s in settings if s.name in self.fields and s.name in self.changed_data]
        if changed and raw in self.changed_data:
            self.add_error(raw, TWICE)
            return data
        merged = copy.deepcopy(data)
        for setting in changed:
            if setting.name not in self.cleaned_data:
                continue  # its own fault is named already
            try:
                setting.put(merged, setting.read(self.cleaned_data[setting.name]))
            except ValidationError as error:
                self.add_error(setting.name, error)
        try:
            return type(self.fields[raw])(required=False).clean(merged)
        except ValidationError as error:
            self.add_error(changed[0].name if changed else raw, error)
            return data


CONSENT = (
    Setting(
        "consent_version",
        ("version",),
        make_number(
            "Version of the consent",
            "Raise it by one whenever the wording changes: it is stored with everyone's answer.",
            min_value=1,
            max_value=32_767,
        ),
        standard=1,
    ),
    Setting("consent_title", ("title",), make_text("Heading", "Stands at the top of the consent page.")),
    Setting(
        "consent_sections",
        ("sections",),
        make_text(
            "What people agree to",
            f"Who you are, what you ask, what happens to the answers, how to leave. {SECTIONS_HELP}",
            rows=14,
        ),
        show=show_sections,
        read=read_sections,
    ),
    Setting("consent_agree", ("agree",), make_text("Answer that agrees", "For example: Yes, I take part.")),
    Setting(
        "consent_decline",
        ("decline",),
        make_text("Answer that declines", "For example: No, I do not want to take part."),
    ),
)

LAST_PAGES = {
    outcome: (
        Setting(
            f"end_{outcome}_title",
            (str(outcome), "title"),
            make_text("Heading", "Empty for the software's own words, in the study's language."),
        ),
        Setting(
            f"end_{outcome}_text",
            (str(outcome), "text"),
            make_text(
                "Text", "What to say to them, and how they are paid. Empty for the software's own words.", 3
            ),
        ),
    )
    for outcome in Outcome.values
}
LAST_PAGE_SETTINGS = [setting for pair in LAST_PAGES.values() for setting in pair]
