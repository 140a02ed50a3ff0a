"""What researchers fill in about a curation."""

import re
from decimal import Decimal
from typing import Any

from django import forms

from annotation.models import Study
from annotation.post_forms import read_languages
from annotation.services.uploads import MAX_BYTES
from modeling.models import AnnotatorModel, Curation

from .services import NAME_LENGTH, PURPOSE_WORDS, get_annotator, list_annotators
from .settings import HIGHEST_CODEBOOK, HIGHEST_SCREENING, MOST_CALLS_AT_ONCE, CurationSettings
from .stages import BY_MODEL, Stage

MODE_LABELS = (("calls", "Call by call: at once"), ("batch", "As batches: within a day, at a lower price"))


class CurationForm(forms.Form):
    """Name, limits, models and budgets of a curation."""

    use_required_attribute = False

    name = forms.CharField(max_length=NAME_LENGTH, help_text="Kept with each post of the sample.")
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        help_text="Decides every draw: the same feeds, readings and seed give the same sample.",
    )
    languages = forms.CharField(
        required=False,
        max_length=200,
        help_text="Codes of those to keep, such as en, de; empty keeps every language.",
    )
    unknown = forms.ChoiceField(
        label="Texts too short to tell",
        choices=(("drop", "are dropped"), ("keep", "are kept")),
        help_text="Below 20 letters nobody can tell the language from the text alone.",
    )
    least_comprehensibility = forms.FloatField(
        label="Comprehensible from",
        min_value=0,
        max_value=HIGHEST_CODEBOOK,
        help_text=f"Final rating from 0 to {HIGHEST_CODEBOOK}; the published study kept 3.",
    )
    most_nsfw = forms.FloatField(
        label="Safe up to",
        min_value=0,
        max_value=HIGHEST_CODEBOOK,
        help_text=f"Final rating from 0 (safe) to {HIGHEST_CODEBOOK}; 0 drops whatever seems unsafe at all.",
    )
    least_screening = forms.FloatField(
        label="Expresses a value from",
        min_value=0,
        max_value=HIGHEST_SCREENING,
        help_text="Screened rating; the published study took 4 of 6.",
    )
    quotas = forms.CharField(
        required=False,
        label="Quota groups to make up for",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One on each line with how many of its owners are drawn again, such as: 55 and over = 17",
    )
    concurrency = forms.IntegerField(
        label="Calls at once", min_value=1, max_value=MOST_CALLS_AT_ONCE, help_text="Of the provider, in all."
    )
    mode = forms.ChoiceField(label="Ask", choices=MODE_LABELS, help_text="For every stage that asks a model.")

    def __init__(self, study: Study, *args: Any, curation: Curation | None = None, **kwargs: Any) -> None:
        settings = CurationSettings.from_dict(curation.settings) if curation else CurationSettings()
        super().__init__(*args, initial=_describe(curation, settings), **kwargs)
        self.offered: dict[Stage, list[AnnotatorModel]] = {}
        for stage in BY_MODEL:
            self.offered[stage] = list_annotators(study, stage)
            chosen = get_annotator(curation, stage) if curation else None
            if chosen and chosen not in self.offered[stage]:
                self.offered[stage].append(chosen)
            self.fields[stage.value] = forms.ChoiceField(
                label=f"Model for {PURPOSE_WORDS[stage]}",
                required=False,
                choices=[
                    ("", "not chosen yet"),
                    *((str(each.pk), str(each)) for each in self.offered[stage]),
                ],
                help_text="One of the study’s annotator models."
                if self.offered[stage]
                else "The study has no annotator model for this yet.",
            )
            self.fields[f"budget_{stage.value}"] = forms.DecimalField(
                label=f"Budget for {PURPOSE_WORDS[stage]}",
                required=False,
                min_value=0,
                max_value=100_000,
                decimal_places=2,
                help_text="Dollars; it stops before it spends more. Empty: no limit.",
            )

    @property
    def groups(self) -> list[tuple[str, list[Any]]]:
        """The fields under their headings."""
        return [
            ("The curation", [self["name"], self["seed"]]),
            ("Languages", [self["languages"], self["unknown"]]),
            ("Limits", [self["least_comprehensibility"], self["most_nsfw"], self["least_screening"]]),
            ("Sample", [self["quotas"]]),
            *(
                (PURPOSE_WORDS[stage].capitalize(), [self[stage.value], self[f"budget_{stage.value}"]])
                for stage in BY_MODEL
            ),
            ("How to ask", [self["concurrency"], self["mode"]]),
        ]

    def clean_languages(self) -> tuple[str, ...]:
        return read_languages([part for part in re.split(r"[\s,;]+", self.cleaned_data["languages"]) if part])

    def clean_quotas(self) -> dict[str, int]:
        quotas: dict[str, int] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["quotas"].splitlines())):
            group, sign, number = (part.strip() for part in line.rpartition("="))
            if not sign or not group or not (number.isascii() and number.isdigit()) or int(number) < 1:
                raise forms.ValidationError(
                    f"'{line:.60}' must name a group and how many of it, such as: 55 and over = 17"
                )
            if group in quotas:
                raise forms.ValidationError(f"The group '{group:.50}' stands on two lines.")
            quotas[group] = int(number)
        return quotas

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                self.get_settings()
            except ValueError as error:
                self.add_error(None, str(error))
        return cleaned

    def get_settings(self) -> CurationSettings:
        """Return the settings that were filled in. Raises ValueError for what does not fit together."""
        given = self.cleaned_data
        budgets: dict[str, Decimal | None] = {
            stage.value: given.get(f"budget_{stage.value}") for stage in BY_MODEL
        }
        return CurationSettings(
            languages=given["languages"],
            keeps_unknown=given["unknown"] == "keep",
            least_comprehensibility=given["least_comprehensibility"],
            most_nsfw=given["most_nsfw"],
            least_screening=given["least_screening"],
            quotas=given["quotas"],
            budgets={stage: dollars for stage, dollars in budgets.items() if dollars is not None},
            concurrency=given["concurrency"],
            mode=given["mode"],
        )

    def get_annotators(self) -> dict[Stage, AnnotatorModel | None]:
        """Return the models that were chosen."""
        return {
            stage: next(
                (each for each in self.offered[stage] if str(each.pk) == self.cleaned_data[stage.value]), None
            )
            for stage in BY_MODEL
        }


class FeedFileForm(forms.Form):
    """A file of feeds."""

    file = forms.FileField(
        label="File of feeds",
        help_text="CSV, JSON Lines or Parquet with one row for each place of a post in a feed. Needed: key, text, "
        "owner and source (following or for_you); read too: group, context_kind, context_text, in_reply_to, is_reply, "
        f"language, visibility. At most {MAX_BYTES // 1_000_000} MB.",
        error_messages={"required": "Choose a file first.", "empty": "The file is empty."},
        max_length=None,
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt,.jsonl,.ndjson,.parquet,.gz"}),
    )


class PutForm(forms.Form):
    """Why posts are added to a study, for its log."""

    reason = forms.CharField(
        label="Reason", required=False, max_length=300, help_text="Kept in the study’s log."
    )


def _describe(curation: Curation | None, settings: CurationSettings) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": curation.name if curation else "",
        "seed": curation.seed if curation else 1,
        "languages": ", ".join(settings.languages),
        "unknown": "keep" if settings.keeps_unknown else "drop",
        "least_comprehensibility": f"{settings.least_comprehensibility:g}",
        "most_nsfw": f"{settings.most_nsfw:g}",
        "least_screening": f"{settings.least_screening:g}",
        "quotas": "\n".join(f"{group} = {number}" for group, number in settings.quotas.items()),
        "concurrency": settings.concurrency,
        "mode": settings.mode,
    }
    for stage in BY_MODEL:
        annotator = get_annotator(curation, stage) if curation else None
        described[stage.value] = str(annotator.pk) if annotator else ""
        described[f"budget_{stage.value}"] = settings.budgets.get(stage.value)
    return described
