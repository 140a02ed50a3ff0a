"""A value system: a tree of values and the scale its leaves are rated on."""

import secrets

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

KEY = RegexValidator(r"^[a-z0-9][a-z0-9_-]*$", "Use lower-case letters, digits, '-' and '_'.")


def draw_revision() -> int:
    """Return a number that no other state of a value system had: one that was rolled back, for instance."""
    return secrets.randbelow(2**31)


class ValueSystem(models.Model):
    """A tree of values and the scale its leaves are rated on."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    version = models.PositiveIntegerField(default=1)
    description = models.TextField(blank=True)
    source = models.TextField(blank=True, help_text="Where the system was published.")
    scale_min = models.SmallIntegerField(default=0, help_text="The rating that means: not reflected at all.")
    scale_max = models.SmallIntegerField(default=6)
    shown_from = models.SmallIntegerField(
        default=1, help_text="The number shown to raters for the lowest rating."
    )
    low_label = models.CharField(max_length=200, help_text="Shown at the scale's low end.")
    high_label = models.CharField(max_length=200, help_text="Shown at the scale's high end.")
    revision = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scale_min__lt=F("scale_max")), name="scale_has_two_ends"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"

    def save(self, *args, **kwargs) -> None:
        self.revision = draw_revision()
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "revision"}
        super().save(*args, **kwargs)

    @property
    def is_in_use(self) -> bool:
        """Whether people have entered a study on this system: what they answer follows its order and scale."""
        return self.studies.filter(enrollments__isnull=False).exists()

    def clean(self) -> None:
        if self.pk and self.is_in_use:
            stored = ValueSystem.objects.get(pk=self.pk)
            if (stored.scale_min, stored.scale_max) != (self.scale_min, self.scale_max):
                raise ValidationError("The scale's ends cannot change: people have begun to rate on it.")


class ValueNode(models.Model):
    """A group of values, asked as a question, or a leaf, rated on the scale."""

    system = models.ForeignKey(ValueSystem, on_delete=models.CASCADE, related_name="nodes")
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children"
    )
    position = models.PositiveSmallIntegerField(help_text="Order among the nodes of the same parent.")
    is_leaf = models.BooleanField(default=True, help_text="A leaf is a value; other nodes are groups.")
    key = models.CharField(max_length=80, validators=[KEY])
    name = models.CharField(max_length=200, help_text="The value's name in the literature.")
    label = models.CharField(max_length=200, help_text="The name shown to raters.")
    definition = models.TextField(blank=True)
    question = models.TextField(blank=True, help_text="Groups only: what is asked about what stands below.")
    help = models.TextField(blank=True, help_text="Groups only: a line of help under the question.")
    several = models.BooleanField(
        default=True, help_text="Groups only: whether several branches may be marked."
    )

    class Meta:
        ordering = ["system", "parent_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["system", "key"], name="value_key_once_per_system"),
            models.UniqueConstraint(
                fields=["system", "parent", "position"], name="value_position_once_per_parent"
            ),
            models.UniqueConstraint(fields=["system"], condition=Q(parent=None), name="one_root_per_system"),
            models.CheckConstraint(
                condition=Q(parent__isnull=False) | Q(is_leaf=False), name="root_is_a_group"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.key})"

    def save(self, *args, **kwargs) -> None:
        super().save(*args, **kwargs)
        ValueSystem.objects.filter(pk=self.system_id).update(revision=draw_revision())

    def delete(self, *args, **kwargs):
        ValueSystem.objects.filter(pk=self.system_id).update(revision=draw_revision())
        return super().delete(*args, **kwargs)

    def clean(self) -> None:
        if self.parent_id and self.parent.is_leaf:
            raise ValidationError(
                {"parent": f"'{self.parent.label}' is a value; only a group can have children."}
            )
        if self.parent_id and self.parent.system_id != self.system_id:
            raise ValidationError({"parent": "The parent belongs to another value system."})
        if not self.is_leaf and not self.question:
            raise ValidationError(
                {"question": "A group needs the question that is asked about its children."}
            )
        self._check_structure_is_free()

    def _check_structure_is_free(self) -> None:
        if not self.system_id or not self.system.is_in_use:
            return
        stored = (
            ValueNode.objects.filter(pk=self.pk)
            .values_list("parent_id", "position", "is_leaf", "key")
            .first()
        )
        if stored != (self.parent_id, self.position, self.is_leaf, self.key):
            raise ValidationError(
                "People have begun to answer on this system: wording may change, but no node can be "
                "added, moved or renamed. Make a new value system instead."
            )
