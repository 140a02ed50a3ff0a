"""A study's data on its way in and out, and signs of care about it."""

from django.db import models

from annotation.models import Enrollment, Study


class ImportRecord(models.Model):
    """That a study's ratings came from files, and from which."""

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="import_record")
    digest = models.CharField(
        max_length=64, help_text="Hash of what the files say, whatever their lines' order."
    )
    files = models.JSONField(help_text="Name and SHA-256 of each file.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Import of {self.study.slug}"


class QualityFlag(models.Model):
    """One documented sign that someone may not have answered with care; never an exclusion by itself."""

    enrollment = models.ForeignKey(Enrollment, on_delete=models.CASCADE, related_name="quality_flags")
    rule = models.CharField(max_length=40)
    number = models.FloatField(help_text="What was measured of this person.")
    limit = models.FloatField(help_text="From where on the rule speaks.")
    flagged_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["enrollment", "rule"]
        constraints = [
            models.UniqueConstraint(fields=["enrollment", "rule"], name="flag_once_per_person_and_rule")
        ]

    def __str__(self) -> str:
        return f"{self.enrollment}: {self.rule}"


class DataExport(models.Model):
    """One archive of a study's data: where it is and what is in it."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="data_exports")
    artefact = models.CharField(max_length=200, help_text="The archive, in the artefact storage.")
    sha256 = models.CharField(max_length=64)
    n_bytes = models.BigIntegerField()
    counts = models.JSONField(help_text="Rows of each table.")
    inclusion = models.JSONField(help_text="The rule by which people are in it.")
    asked_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"Export {self.pk} of {self.study.slug}"
