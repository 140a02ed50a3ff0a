import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_assignments_name_their_step")]

    operations = [
        migrations.AlterField(
            model_name="assignment",
            name="step",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="assignments",
                to="annotation.step",
            ),
        ),
    ]
