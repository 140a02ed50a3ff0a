"""What researchers fill in to bring posts into a study."""

import re

from django import forms

from annotation.services.uploads import MAX_BYTES
from annotation.uploads.filters import Filters
from annotation.uploads.language import read_code
from annotation.uploads.mapping import CONTEXT_KINDS, MAX_SOURCE, ColumnMap
from annotation.uploads.reading import DELIMITERS, ENCODINGS, MAX_CELL, Layout

QUOTES = (("yes", 'Quotation marks " enclose cells'), ("no", "Quotation marks are part of the text"))


class FileForm(forms.Form):
    """A file of posts."""

    file = forms.FileField(
        label="File of posts",
        help_text="CSV, JSON Lines or Parquet; CSV and JSON Lines may be compressed with gzip. At most "
        f"{MAX_BYTES // 1_000_000} MB. Nothing is added to the study yet.",
        error_messages={
            "required": "Choose a file first.",
            "empty": "The file is empty.",
            "missing": "Choose a file first.",
        },
        max_length=None,
        widget=forms.ClearableFileInput(
            attrs={"accept": ".csv,.tsv,.txt,.jsonl,.ndjson,.parquet,.gz", "required": True}
        ),
    )


class LayoutForm(forms.Form):
    """How a text file is read."""

    encoding = forms.ChoiceField(
        label="Encoding",
        choices=list(ENCODINGS.items()),
        help_text="Wrong letters in the rows below, such as Ã¼ for ü? Choose another one.",
    )
    delimiter = forms.ChoiceField(label="Cells are separated by", choices=list(DELIMITERS.items()))
    quotes = forms.ChoiceField(label="Quotation marks", choices=QUOTES)

    def __init__(self, layout: Layout, *args, **kwargs) -> None:
        self.layout = layout
        initial = {
            "encoding": layout.encoding,
            "delimiter": layout.delimiter,
            "quotes": "yes" if layout.has_quotes else "no",
        }
        super().__init__(*args, initial=initial, prefix="layout", **kwargs)
        if layout.kind != "csv":
            del self.fields["delimiter"], self.fields["quotes"]

    def get_layout(self) -> Layout:
        """Return the layout that was chosen."""
        chosen = self.cleaned_data
        return Layout(
            self.layout.kind,
            self.layout.is_gzipped,
            chosen["encoding"],
            chosen.get("delimiter", self.layout.delimiter),
            chosen.get("quotes", "yes") == "yes",
        )


class FilterForm(forms.Form):
    """What is kept of a file, and what holds for all of its rows."""

    drops_repeated = forms.BooleanField(
        label="Leave out texts that are there already",
        required=False,
        help_text="Compared within the file and with the study's posts, context included. Case, spacing and forms of "
        "the same character do not count.",
    )
    languages = forms.CharField(
        label="Keep these languages",
        required=False,
        help_text="Codes with commas between them, such as en, de. Empty keeps every language.",
    )
    keeps_unknown = forms.BooleanField(
        label="Keep texts whose language is unknown",
        required=False,
        help_text="Under 20 characters, links and @names not counted, a language cannot be told.",
    )
    least = forms.IntegerField(
        label="Least length", required=False, min_value=0, max_value=MAX_CELL, help_text="In characters."
    )
    most = forms.IntegerField(
        label="Greatest length",
        required=False,
        min_value=1,
        max_value=MAX_CELL,
        help_text="In characters; empty for no limit.",
    )
    known_keys = forms.ChoiceField(
        label="A key that the study has already",
        choices=(("refuse", "refuses the whole file"), ("skip", "leaves its row out")),
    )
    context_kind = forms.ChoiceField(
        label="A context without a kind is of a",
        choices=[(kind, kind) for kind in CONTEXT_KINDS],
    )
    source = forms.CharField(
        label="Source of all rows",
        required=False,
        max_length=MAX_SOURCE,
        help_text="Which feed, whose; used where no column says it. Never shown to raters.",
    )

    def __init__(self, filters: Filters, columns: ColumnMap, *args, **kwargs) -> None:
        initial = {
            "drops_repeated": filters.drops_repeated,
            "languages": ", ".join(filters.languages),
            "keeps_unknown": filters.keeps_unknown,
            "least": filters.least or None,
            "most": filters.most or None,
            "known_keys": "skip" if filters.skips_known_keys else "refuse",
            "context_kind": columns.context_kind,
            "source": columns.source,
        }
        super().__init__(*args, initial=initial, **kwargs)

    def clean_languages(self) -> tuple[str, ...]:
        written = [part for part in re.split(r"[\s,;]+", self.cleaned_data["languages"]) if part]
        return read_languages(written)

    def clean(self) -> dict:
        cleaned = super().clean()
        least, most = cleaned.get("least") or 0, cleaned.get("most") or 0
        if most and least > most:
            self.add_error("most", "The greatest length is below the least one.")
        return cleaned

    def get_filters(self) -> Filters:
        """Return the filters that were chosen."""
        chosen = self.cleaned_data
        return Filters(
            drops_repeated=chosen["drops_repeated"],
            languages=chosen["languages"],
            keeps_unknown=chosen["keeps_unknown"],
            least=chosen["least"] or 0,
            most=chosen["most"] or 0,
            skips_known_keys=chosen["known_keys"] == "skip",
        )


def read_languages(written: list[str]) -> tuple[str, ...]:
    """Return the codes of languages as somebody wrote them. Raises ValidationError for what is no code."""
    codes = {part: read_code(part) for part in written}
    wrong = [part for part, code in codes.items() if len(code) not in (2, 3)]
    if wrong:
        raise forms.ValidationError(
            f"'{wrong[0]:.40}' is no code of a language. Write two letters, such as en or de."
        )
    return tuple(dict.fromkeys(codes.values()))


class ReasonForm(forms.Form):
    """Why something is changed, for the study's log."""

    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=300,
        help_text="Kept in the study's log.",
    )
