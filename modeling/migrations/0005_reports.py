"""One table for both kinds of report, with figures and documents beside it.

Reports of the older form are not kept: they lack what the pages show now. Their fits stay, and one click
makes the report of a fit anew.
"""


import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0005_researchers_side'),
        ('modeling', '0004_flags_and_exports'),
    ]

    operations = [
        migrations.DeleteModel(
            name='EvaluationReport',
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('agreement', 'Agreement of people'), ('evaluation', 'People and models')], max_length=10)),
                ('rule', models.JSONField(help_text='Who counts.')),
                ('rule_key', models.CharField(help_text='Tells inclusion rules apart in addresses.', max_length=16)),
                ('measures', models.JSONField()),
                ('data_hash', models.CharField(max_length=64)),
                ('code_version', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('outdated_at', models.DateTimeField(blank=True, editable=False, help_text='When ratings that this report saw were taken back, erased or excluded.', null=True)),
                ('fit_run', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='report', to='modeling.fitrun')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='reports', to='annotation.study')),
            ],
            options={
                'ordering': ['-created_at', '-pk'],
                'get_latest_by': ['created_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='ReportDocument',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule_key', models.CharField(max_length=16)),
                ('sources', models.JSONField(help_text='The reports it shows: kind, data hash, code version, time.')),
                ('html', models.TextField()),
                ('pdf', models.BinaryField()),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='documents', to='annotation.study')),
            ],
            options={
                'ordering': ['-created_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='ReportFigure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=50)),
                ('position', models.PositiveSmallIntegerField()),
                ('title', models.CharField(max_length=200)),
                ('caption', models.TextField(help_text='What is shown: n, the unit of resampling, what was left out.')),
                ('spec', models.JSONField(help_text='Vega-Lite, with its data.')),
                ('table', models.JSONField(help_text='Columns (key, label, kind) and rows of the numbers shown.')),
                ('svg', models.TextField()),
                ('pdf', models.BinaryField()),
                ('png', models.BinaryField()),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='figures', to='modeling.report')),
            ],
            options={
                'ordering': ['report', 'position'],
            },
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.UniqueConstraint(condition=models.Q(('kind', 'agreement')), fields=('study', 'rule_key'), name='one_agreement_report_per_rule'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('fit_run__isnull', False), ('kind', 'evaluation')), models.Q(('fit_run__isnull', True), ('kind', 'agreement')), _connector='OR'), name='evaluation_is_of_a_fit'),
        ),
        migrations.AddConstraint(
            model_name='reportdocument',
            constraint=models.UniqueConstraint(fields=('study', 'rule_key'), name='one_document_per_study_and_rule'),
        ),
        migrations.AddConstraint(
            model_name='reportfigure',
            constraint=models.UniqueConstraint(fields=('report', 'key'), name='figure_once_per_report'),
        ),
    ]
