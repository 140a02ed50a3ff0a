"""Who among the staff may do what in which study."""

from django.conf import settings
from django.db import models

from .studies import Study


class StudyAccess(models.Model):
    """One account's part in one study. Superusers need none."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner: everything, identities and access included"
        ANALYST = "analyst", "Analyst: figures and exports without identities"
        ASSISTANT = "assistant", "Assistant: sets up and watches, takes no data away"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="accesses")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="study_accesses"
    )
    role = models.CharField(max_length=10, choices=Role.choices)

    class Meta:
        verbose_name_plural = "study accesses"
        constraints = [
            models.UniqueConstraint(fields=["study", "user"], name="one_role_per_person_and_study")
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.role} of {self.study.slug}"
