"""What a researcher says to have an encoder taught, or its transfer checked. A web process imports it."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings

from annotation.models import Study
from annotation.selectors import get_tree
from modeling.encoders.settings import KINDS, LINEAR, LOSSES, MOST_FOLDS, ORDINAL, EncoderSettings
from modeling.errors import TuningRefused
from modeling.models import EncoderTraining, ExpertSet, SoftLabelSet, TransferCheck

from .services import create_check, create_training, list_columns, list_soft_labels
from .settings import FEWEST_TAUGHT, LANGUAGE, CheckSettings, name_own, suggest_threshold


class EncoderForm(forms.Form):
    """What every encoder is taught by, and how."""

    use_required_attribute = False

    soft_labels = forms.ModelChoiceField(
        queryset=SoftLabelSet.objects.none(),
        label="Soft labels",
        empty_label="Choose a set",
        help_text="The distributions that it is taught, and whose.",
        error_messages={
            "required": "Choose soft labels.",
            "invalid_choice": "These soft labels cannot be used.",
        },
    )
    threshold = forms.IntegerField(label="Threshold", help_text="")
    kind = forms.ChoiceField(
        label="Kind",
        choices=list(KINDS.items()),
        initial=LINEAR,
        help_text="The first takes seconds to minutes and no download. A transformer is fine-tuned end to end.",
    )
    folder = forms.ChoiceField(
        label="Transformer",
        required=False,
        help_text="Only for that kind: which of those on this machine is the start.",
    )
    loss = forms.ChoiceField(
        label="Loss",
        choices=list(LOSSES.items()),
        initial=ORDINAL,
        help_text="The ordinal one knows that neighbouring ratings are near each other.",
    )
    seed = forms.IntegerField(
        label="Seed",
        min_value=0,
        max_value=2**31 - 1,
        initial=1,
        help_text="Of every draw: the same gives the same.",
    )

    def __init__(self, study: Study, data: Any = None, *, prefix_id: str) -> None:
        super().__init__(data, auto_id=f"{prefix_id}-%s")
        self.study = study
        made = list_soft_labels(study)
        labels: Any = self.fields["soft_labels"]
        labels.queryset = study.soft_label_sets.filter(pk__in=[each.pk for each in made])
        if len(made) == 1:
            labels.initial = made[0]
        names = list(settings.ENCODERS)
        folder: Any = self.fields["folder"]
        folder.choices = [("", "The usual one" if names else "None is on this machine")] + [
            (name, name) for name in names
        ]
        scale = get_tree(study.value_system).scale
        threshold: Any = self.fields["threshold"]
        threshold.initial = suggest_threshold(scale.min, scale.max)
        threshold.help_text = (
            f"From which rating on a value counts as expressed, {scale.min + 1} to {scale.max}."
        )
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):  # shares are such fields too
                # Whatever was typed is shown again: a field for numbers would drop what is none.
                mode = "numeric" if type(field) is forms.IntegerField else "decimal"
                field.widget = forms.TextInput({"inputmode": mode, "autocomplete": "off"})

    def read_encoder(self, **more: Any) -> EncoderSettings:
        """Return the encoder's settings of a valid form. Raises ValueError."""
        found = self.cleaned_data
        own: dict[str, Any] = name_own(found["kind"], folder=found["folder"])
        return EncoderSettings(kind=found["kind"], loss=found["loss"], seed=found["seed"], **own, **more)

    def add_faults(self, refusal: TuningRefused) -> None:
        """Show what was refused beside its field."""
        for name, fault in refusal.faults.items():
            self.add_error(name if name in self.fields else None, fault)

    def group(
        self, headings: Iterable[tuple[str, Iterable[str]]]
    ) -> list[tuple[str, list[forms.BoundField]]]:
        """Return fields under their headings."""
        return [(heading, [self[name] for name in names]) for heading, names in headings]


class TrainingForm(EncoderForm):
    """One encoder: what it is taught, and by whom it is judged."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="Of the annotator model that comes of it. The same name again makes the next version.",
    )
    expert_set = forms.ModelChoiceField(
        queryset=ExpertSet.objects.none(),
        required=False,
        label="Judged by",
        empty_label="Its own soft labels, on posts held out",
        help_text="An expert set: it judges by its development posts and threshold; none of its posts is taught.",
    )
    both_losses = forms.BooleanField(
        label="Try the other loss too", required=False, help_text="Twice the work; the report compares them."
    )
    n_folds = forms.IntegerField(
        label="Folds",
        min_value=2,
        max_value=MOST_FOLDS,
        initial=5,
        help_text="Each post it is taught is read by an encoder that was taught the other folds only.",
    )
    eval_share = forms.FloatField(
        label="Share held out",
        min_value=0.01,
        max_value=0.9,
        initial=0.2,
        help_text="Of the posts, to judge by where no experts do; at most 5,000 posts.",
    )

    def __init__(self, study: Study, data: Any = None) -> None:
        super().__init__(study, data, prefix_id="encoder")
        chosen: Any = self.fields["expert_set"]
        chosen.queryset = study.expert_sets.all()

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return self.group(
            (
                ("What it is taught", ("name", "soft_labels", "n_folds", "seed")),
                ("How", ("kind", "folder", "loss", "both_losses")),
                ("How it is judged", ("expert_set", "threshold", "eval_share")),
            )
        )

    def create(self, user: Any) -> EncoderTraining:
        """Ask for what a valid form says. Raises TuningRefused."""
        found = self.cleaned_data
        try:
            settings = self.read_encoder(n_folds=found["n_folds"], eval_share=found["eval_share"])
        except ValueError as error:
            raise TuningRefused({"": str(error)}) from error
        return create_training(
            self.study,
            found["soft_labels"],
            settings,
            found["name"],
            expert_set=found["expert_set"],
            threshold=found["threshold"],
            both_losses=found["both_losses"],
            user=user,
        )


class CheckForm(EncoderForm):
    """Between which sources of posts an encoder is carried over."""

    by = forms.ChoiceField(
        label="Told apart by", help_text="What the posts say of themselves, or their language."
    )
    train_on = forms.CharField(
        label="Taught",
        required=False,
        max_length=100,
        help_text="One source, as the posts name it. Empty: every pair of sources.",
    )
    test_on = forms.CharField(
        label="Judged on", required=False, max_length=100, help_text="The other source, where one is named."
    )
    fewest_posts = forms.IntegerField(
        label="Fewest posts",
        min_value=FEWEST_TAUGHT,
        max_value=100_000,
        initial=50,
        help_text="With text and labels; sources with fewer are left out and named.",
    )
    test_share = forms.FloatField(
        label="Share held out",
        min_value=0.05,
        max_value=0.9,
        initial=0.3,
        help_text="Of each source, to judge on; never taught.",
    )

    def __init__(self, study: Study, data: Any = None) -> None:
        super().__init__(study, data, prefix_id="transfer")
        columns = list_columns(study)
        by: Any = self.fields["by"]
        by.choices = [(name, name) for name in columns]
        if LANGUAGE not in columns:
            by.choices = [*by.choices, (LANGUAGE, "Language, as detected from the text")]

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return self.group(
            (
                ("Which posts", ("soft_labels", "by", "train_on", "test_on")),
                ("How many", ("fewest_posts", "test_share", "threshold")),
                ("The encoders", ("kind", "folder", "loss", "seed")),
            )
        )

    def create(self, user: Any) -> TransferCheck:
        """Ask for what a valid form says. Raises TuningRefused."""
        found = self.cleaned_data
        given = {name: found[name] for name in ("by", "threshold", "fewest_posts", "test_share")}
        given |= {name: found[name].strip() for name in ("train_on", "test_on")}
        if faults := CheckSettings.find_faults(given):
            raise TuningRefused(faults)
        try:
            settings = CheckSettings(**given, encoder=self.read_encoder())
        except ValueError as error:
            raise TuningRefused({"": str(error)}) from error
        return create_check(self.study, found["soft_labels"], settings, user=user)
