"""Assignments made before a study could have several labeling steps belong to its only one."""

from django.db import migrations


def name_the_step(apps, schema_editor):
    Step = apps.get_model("annotation", "Step")
    Assignment = apps.get_model("annotation", "Assignment")
    for step in Step.objects.filter(kind="labeling").order_by("study", "position"):
        nameless = Assignment.objects.filter(step=None, enrollment__study=step.study_id)
        nameless.update(step=step)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0002_participants_way")]

    operations = [migrations.RunPython(name_the_step, migrations.RunPython.noop)]
