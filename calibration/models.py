"""The calibration questionnaire of a study, questionnaires about the rater, and the answers to both."""

from django.core.exceptions import ValidationError
from django.db import models

from annotation.models import Enrollment, Post, Study, StudyVersion
from calibration.instrument.items import Instrument, InstrumentError


class CalibrationQuestion(models.Model):
    """One question of the VCQ: to what extent does this post reflect this value?"""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="calibration_questions")
    position = models.PositiveSmallIntegerField()
    # Goes with its study, but no post goes from under a question.
    post = models.ForeignKey(Post, on_delete=models.RESTRICT, related_name="calibration_questions")
    value_key = models.CharField(max_length=80)

    class Meta:
        ordering = ["study", "position"]
        constraints = [
            models.UniqueConstraint(fields=["study", "position"], name="vcq_position_once_per_study"),
            models.UniqueConstraint(
                fields=["study", "post", "value_key"], name="vcq_question_once_per_study"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.post.key}: {self.value_key}"

    def clean(self) -> None:
        if self.study_id and self.value_key not in self.study.value_keys:
            raise ValidationError({"value_key": f"The study's value system has no value '{self.value_key}'."})


class CalibrationAnswer(models.Model):
    """One rater's answer to one question of the VCQ, on the study's scale."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="calibration_answers")
    question = models.ForeignKey(CalibrationQuestion, on_delete=models.PROTECT, related_name="answers")
    rating = models.SmallIntegerField()
    study_version = models.ForeignKey(
        StudyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    answered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["enrollment", "question"], name="vcq_answered_once")]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.question}"


def check_definition(definition: dict) -> None:
    """Refuse a questionnaire that cannot be read, naming every fault."""
    try:
        Instrument.from_dict(definition)
    except InstrumentError as error:
        raise ValidationError(list(error.faults)) from error


class Questionnaire(models.Model):
    """A questionnaire of a study, as data."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="questionnaires")
    key = models.SlugField()
    definition = models.JSONField(validators=[check_definition])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "key"], name="questionnaire_key_once_per_study")
        ]

    def __str__(self) -> str:
        return f"{self.study.slug}: {self.key}"

    @property
    def instrument(self) -> Instrument:
        return Instrument.from_dict(self.definition)


class QuestionnaireResponse(models.Model):
    """One rater's answers to one questionnaire, with the version they saw."""

    enrollment = models.ForeignKey(
        Enrollment, on_delete=models.CASCADE, related_name="questionnaire_responses"
    )
    questionnaire = models.ForeignKey(Questionnaire, on_delete=models.PROTECT, related_name="responses")
    version = models.PositiveIntegerField()
    answers = models.JSONField()
    study_version = models.ForeignKey(
        StudyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    submitted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["enrollment", "questionnaire"], name="questionnaire_answered_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.questionnaire.key}"
