"""`manage.py train_encoder STUDY (--soft-labels NAME [--set NAME] [--kind linear|transformer] | --resume NUMBER)`"""

from django.core.management.base import BaseCommand, CommandError

from annotation.models import Study
from modeling.errors import TuningRefused
from modeling.models import EncoderTraining, Report
from modeling.reporting.subjects import get_report
from modeling.reports.encoder_tables import SHOWN, say_findings, say_reference
from modeling.transfer.asking import (
    add_encoder_arguments,
    do,
    find_soft_labels,
    find_study,
    let_go_on,
    read_encoder,
)
from modeling.transfer.services import create_training, name_subject


class Command(BaseCommand):
    help = (
        "Teach a small local model soft labels, with a twin taught hard ones, and tell which reads better. It becomes "
        "an annotator model that sends no post to anyone."
    )

    def add_arguments(self, parser):
        add_encoder_arguments(parser)
        parser.add_argument("--name", help="of the annotator model that comes of it; that of the soft labels")
        parser.add_argument(
            "--set", metavar="NAME", help="expert set that judges it; without one its own labels do, held out"
        )
        parser.add_argument("--folds", type=int, default=5, help="for reading posts that it was taught (5)")
        parser.add_argument(
            "--eval-share", type=float, default=0.2, help="held out where no experts judge (0.2)"
        )
        parser.add_argument("--both-losses", action="store_true", help="try the other loss too")

    def handle(self, *args, study: str, queue: bool, **options):
        found = find_study(study)
        try:
            if options["resume"] is not None:
                stopped = EncoderTraining.objects.filter(study=found, pk=options["resume"]).first()
                training = let_go_on(stopped, study, options["resume"])
            else:
                training = self._ask(found, options)
        except (TuningRefused, ValueError) as error:
            raise CommandError(str(error)) from error
        if not do(training, self.stdout, "Teaching", queue=queue):
            return
        made_model = training.annotator or "the same model, which was there already"
        self.stdout.write(f"Taught {len(training.post_ids):,} posts: {made_model}.")
        report = get_report(found, Report.Kind.ENCODER, name_subject(training))
        if report:
            self._tell(report.measures)

    def _ask(self, study: Study, options) -> EncoderTraining:
        made = find_soft_labels(study, options["soft_labels"])
        expert_set = None
        if options["set"] is not None:
            expert_set = study.expert_sets.filter(name=options["set"]).first()
            if expert_set is None:
                names = ", ".join(f"'{each.name}'" for each in study.expert_sets.all()) or "none"
                raise CommandError(
                    f"Study '{study.slug}' has no expert set '{options['set']}'; there are: {names}."
                )
        return create_training(
            study,
            made,
            read_encoder(options, n_folds=options["folds"], eval_share=options["eval_share"]),
            options["name"] or made.name,
            expert_set=expert_set,
            threshold=options["threshold"],
            both_losses=options["both_losses"],
        )

    def _tell(self, measures) -> None:
        self.stdout.write(f"{say_reference(measures)} Threshold {measures['threshold']}.")
        models = measures["models"]
        self.stdout.write(f"  {'':<32}" + "".join(f"{model['label']:>34}" for model in models))
        for key, (label, _) in SHOWN.items():
            cells = (_write(model[key]) for model in models)
            self.stdout.write(f"  {label:<32}" + "".join(f"{cell:>34}" for cell in cells))
        for sentence in say_findings(measures):
            self.stdout.write(f"  {sentence}")


def _write(score) -> str:
    if score["estimate"] is None:
        return "–"
    low, high = score["interval"]
    return f"{score['estimate']:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")
