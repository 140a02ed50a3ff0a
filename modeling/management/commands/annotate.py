"""`manage.py annotate STUDY (--provider NAME --model NAME | --annotator PK) [--posts all|corpus|N | --keys FILE]`"""

import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.errors import Refused
from annotation.models import Post, Study
from jobs.services import run_here
from modeling.annotators.configs import create_annotator
from modeling.annotators.facts import count_progress, summarize_run
from modeling.annotators.few_shot import build_examples
from modeling.annotators.prompts import get_prompt
from modeling.annotators.runs import cancel_run, create_run, resume_run, start_run
from modeling.annotators.selecting import chosen_posts, corpus_posts, first_posts, study_posts
from modeling.models import AnnotatorModel, AnnotatorRun, PromptVersion
from modeling.progress import Progress
from modeling.reports.names import SAYS_STANDIN

from .experts import read_keys

SHOWN_KEYS = 10


class Command(BaseCommand):
    help = "Have an annotator model read a study's posts: shows the cost, asks, and reads here with progress."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's slug")
        parser.add_argument(
            "--annotator",
            type=int,
            metavar="PK",
            help="one that is there, also a local encoder, by its number",
        )
        parser.add_argument("--name", help="of the annotator model; the model's name when left out")
        parser.add_argument("--provider", help="by its name in the environment, such as openai")
        parser.add_argument("--model", help="as the provider calls it")
        parser.add_argument("--purpose", choices=PromptVersion.Purpose.values, default="values")
        parser.add_argument(
            "--few-shot", nargs="+", metavar="KEY", help="posts shown as examples, by their keys"
        )
        parser.add_argument("--temperature", type=float, default=0.0)
        parser.add_argument("--seed", type=int)
        parser.add_argument("--samples", type=int, default=1, help="runs per post")
        parser.add_argument("--plain-json", action="store_true", help="for servers that know no JSON schema")
        parser.add_argument("--logprobs", action="store_true", help="ask for distributions over the scale")
        parser.add_argument("--input-price", default="0", help="dollars per million tokens read")
        parser.add_argument("--output-price", default="0", help="dollars per million tokens written")
        parser.add_argument("--batch", action="store_true", help="by the provider's batches: cheaper, slower")
        parser.add_argument("--budget", help="dollars; the run stops before it spends more")
        parser.add_argument("--concurrency", type=int, default=8, help="calls at once")
        parser.add_argument("--posts", default="all", help="'all' that people label, 'corpus', or how many")
        parser.add_argument(
            "--keys", type=Path, metavar="FILE", help="instead: a file of keys of posts, one a line"
        )
        parser.add_argument("--resume", type=int, metavar="RUN", help="let a run that stopped go on")
        parser.add_argument("--estimate-only", action="store_true", help="show the cost and end")
        parser.add_argument("--yes", action="store_true", help="do not ask before it starts")

    def handle(self, *args: Any, study: str, **options: Any) -> None:
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        try:
            budget = _read_dollars(options["budget"], "--budget")
            run = (
                self._find_run(found, options["resume"])
                if options["resume"]
                else self._make_run(found, options)
            )
            self._show_estimate(run)
            if options["estimate_only"]:
                if run.state == AnnotatorRun.State.READY:
                    run.delete()
                return
            if not (options["yes"] or _is_confirmed()):
                raise CommandError(
                    f"Nothing was asked. Answer yes, or give --yes; it starts with --resume {run.pk}."
                )
            job = resume_run(run, budget=budget) if options["resume"] else start_run(run)
            self._work(run, job)
        except (Refused, ValueError, OSError) as error:
            raise CommandError(str(error)) from error

    def _find_run(self, study: Study, number: int) -> AnnotatorRun:
        run = AnnotatorRun.objects.filter(annotator__study=study, pk=number).first()
        if run is None:
            raise CommandError(f"Study '{study.slug}' has no run {number}.")
        return run

    def _make_run(self, study: Study, options: dict[str, Any]) -> AnnotatorRun:
        annotator = (
            self._find_annotator(study, options)
            if options["annotator"]
            else self._make_annotator(study, options)
        )
        return create_run(
            annotator,
            selection=_select(study, options["posts"], options["keys"]),
            mode=AnnotatorRun.Mode.BATCH if options["batch"] else AnnotatorRun.Mode.CALLS,
            concurrency=options["concurrency"],
            budget=_read_dollars(options["budget"], "--budget"),
        )

    def _find_annotator(self, study: Study, options: dict[str, Any]) -> AnnotatorModel:
        if options["provider"] or options["model"]:
            raise CommandError("Name an annotator model that is there, or whom to ask: not both.")
        found = study.annotators.select_related("prompt", "study").filter(pk=options["annotator"]).first()
        if found is None:
            raise CommandError(f"Study '{study.slug}' has no annotator model {options['annotator']}.")
        return found

    def _make_annotator(self, study: Study, options: dict[str, Any]) -> AnnotatorModel:
        if not options["provider"] or not options["model"]:
            raise CommandError("Say whom to ask: --provider and --model, or --annotator.")
        prompt = get_prompt(study, options["purpose"])
        examples = _find_posts(study, options["few_shot"] or [])
        return create_annotator(
            study,
            name=options["name"] or options["model"],
            kind=AnnotatorModel.Kind.FEW_SHOT if examples else AnnotatorModel.Kind.ZERO_SHOT,
            prompt=prompt,
            provider=options["provider"],
            model_name=options["model"],
            temperature=options["temperature"],
            seed=options["seed"],
            samples=options["samples"],
            reply_format="json" if options["plain_json"] else "schema",
            uses_logprobs=options["logprobs"],
            examples=build_examples(study, prompt, examples),
            trained_on=[post.pk for post in examples],
            input_price=_read_dollars(options["input_price"], "--input-price"),
            output_price=_read_dollars(options["output_price"], "--output-price"),
        )

    def _show_estimate(self, run: AnnotatorRun) -> None:
        said = run.estimate
        where = (
            f"{run.annotator.model_name} at {run.annotator.provider}"
            if run.annotator.provider
            else "on this machine"
        )
        self.stdout.write(f"{run.annotator}: {where}")
        if run.is_standin:
            self.stdout.write(SAYS_STANDIN)
        self.stdout.write(
            f"{said['n_posts']:,} posts, {said['n_calls']:,} calls, {said['n_known']:,} of them answered before; about "
            f"${Decimal(said['cost']):.2f}, at most ${Decimal(said['cost_at_most']):.2f}. {said['basis']}"
        )

    def _work(self, run: AnnotatorRun, job: Any) -> None:
        progress, began = Progress(self.stdout, "Reading posts"), time.monotonic()

        def show(_: Any) -> None:
            counts = count_progress(run)
            progress(
                counts["n_done"],
                counts["n_posts"],
                f"{counts['n_failed']:,} failed" if counts["n_failed"] else "",
            )

        try:
            job = run_here(job, on_progress=show)
        except KeyboardInterrupt:
            cancel_run(run)
            raise CommandError(f"Cancelled. What was read stays; go on with --resume {run.pk}.") from None
        run.refresh_from_db()
        self._summarize(run, time.monotonic() - began)
        if job.state != job.State.DONE:
            raise CommandError(f"The job of run {run.pk} {job.state}: {job.error}")
        if run.state != AnnotatorRun.State.DONE:
            raise CommandError(f"Run {run.pk} is {run.get_state_display().lower()}. {run.problem}")

    def _summarize(self, run: AnnotatorRun, seconds: float) -> None:
        facts = summarize_run(run)
        self.stdout.write(
            f"Run {run.pk}: {facts.n_read:,} readings of {facts.n_posts:,} posts in {seconds:.0f} s, "
            f"{facts.n_failed:,} failed."
        )
        for failure in facts.failures:
            self.stdout.write(f"  {failure.number:,} {failure.fault}: {failure.example[:150]}")
        self.stdout.write(
            f"{facts.n_calls:,} calls, {facts.prompt_tokens:,} tokens read and {facts.completion_tokens:,} written, "
            f"${run.spent:.4f} spent."
        )
        if facts.is_standin:
            self.stdout.write(SAYS_STANDIN)


def _read_dollars(text: str | None, option: str) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CommandError(f"{option} must be a number of dollars, such as 2.50, not '{text}'.") from None


def _is_confirmed() -> bool:
    try:
        return input("Start? [yes/no] ").strip().lower() == "yes"
    except EOFError:
        return False


def _find_posts(study: Study, keys: list[str]) -> list[Post]:
    found = {post.key: post for post in study.posts.filter(key__in=keys)}
    if strangers := [key for key in keys if key not in found]:
        more = f" and {len(strangers) - SHOWN_KEYS:,} more" if len(strangers) > SHOWN_KEYS else ""
        raise CommandError(f"Study '{study.slug}' has no post {', '.join(strangers[:SHOWN_KEYS])}{more}.")
    return [found[key] for key in keys]


def _select(study: Study, posts: str, keys: Path | None) -> dict[str, Any]:
    if keys is not None:
        return chosen_posts(post.pk for post in _find_posts(study, read_keys(keys)))
    if posts == "all":
        return study_posts(study)
    if posts == "corpus":
        return corpus_posts(study)
    if not posts.isascii() or not posts.isdigit() or not int(posts):
        raise CommandError(f"--posts must be 'all', 'corpus' or a whole number, not '{posts}'.")
    return first_posts(study, int(posts))
