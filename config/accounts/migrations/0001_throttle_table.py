from django.db import migrations, models


class Migration(migrations.Migration):
    """The table in which every process sees the same failed logins (see CACHES in the settings)."""

    initial = True
    dependencies = []
    operations = [
        # No model stands for it: Django's cache reads and writes it.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.CreateModel(
                    name="Throttle",
                    fields=[
                        ("cache_key", models.CharField(max_length=255, primary_key=True)),
                        ("value", models.TextField()),
                        ("expires", models.DateTimeField(db_index=True)),
                    ],
                    options={"db_table": "accounts_throttle"},
                )
            ]
        )
    ]
