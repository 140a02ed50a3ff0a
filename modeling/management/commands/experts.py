"""`manage.py experts STUDY list|make|import|export|resolve-import|close|reopen|open-test ...`"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotation.errors import Refused
from annotation.models import Study
from modeling.errors import ImportRefused
from modeling.experts import services, standing
from modeling.experts.exporting import write_labels
from modeling.experts.importing import import_labels, import_resolutions
from modeling.models import AnnotatorRun, ExpertSet
from modeling.reports.names import SAYS_STANDIN


class Command(BaseCommand):
    help = "Sets of posts that experts label: make them, load and write labels, close them, open their test posts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's slug")
        deeds = parser.add_subparsers(dest="deed", required=True, metavar="DEED")
        deeds.add_parser("list", help="the study's sets, with how far they are")
        make = deeds.add_parser("make", help="a new set; its posts are dealt at once")
        make.add_argument("--name", required=True)
        make.add_argument(
            "--threshold", type=int, required=True, help="from which rating a value counts as expressed"
        )
        make.add_argument("--form", choices=ExpertSet.Form.values, default="flat")
        make.add_argument("--experts", type=int, default=2, help="how many label each post (2)")
        make.add_argument("--test-share", type=float, default=0.5, help="of the posts (0.5)")
        make.add_argument("--seed", type=int, default=1)
        make.add_argument("--posts", default="all", help="'all', or how many to draw (all)")
        make.add_argument(
            "--keys", type=Path, metavar="FILE", help="instead: a file of keys of posts, one a line"
        )
        make.add_argument("--with-corpus", action="store_true", help="also posts that models alone read")
        make.add_argument("--guidance", default="", help="what experts read above each post")
        load = _add_for_set(deeds, "import", "labels from a file: all of it, or nothing")
        load.add_argument("file", type=Path)
        load.add_argument(
            "--revise", action="store_true", help="labels of the file take the place of earlier ones"
        )
        write = _add_for_set(deeds, "export", "every label, resolution and the reference, as CSV")
        write.add_argument("file", type=Path, help="is not written over")
        settle = _add_for_set(deeds, "resolve-import", "what was settled where experts differ, from a file")
        settle.add_argument("file", type=Path)
        _add_for_set(deeds, "close", "take no more labels")
        _add_for_set(deeds, "reopen", "take labels again")
        opening = _add_for_set(deeds, "open-test", "open the test posts for the family of these runs, once")
        opening.add_argument("--runs", type=int, nargs="+", required=True)
        opening.add_argument("--reason", required=True, help="kept with who opened them and when")

    def handle(self, *args: Any, study: str, deed: str, **options: Any) -> None:
        found = Study.objects.select_related("value_system").filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        deeds: dict[str, Callable[..., None]] = {
            "list": self._list,
            "make": self._make,
            "import": self._import,
            "export": self._export,
            "resolve-import": self._resolve,
            "close": self._close,
            "reopen": self._reopen,
            "open-test": self._open_test,
        }
        try:
            if "set" in options:
                deeds[deed](_find_set(found, options["set"]), options)
            else:
                deeds[deed](found, options)
        except ImportRefused as refusal:
            raise CommandError("Nothing was stored.\n" + "\n".join(refusal.faults)) from refusal
        except (Refused, OSError) as error:
            raise CommandError(str(error)) from error

    def _list(self, study: Study, options: dict[str, Any]) -> None:
        for expert_set in study.expert_sets.all():
            self._describe(expert_set)

    def _describe(self, expert_set: ExpertSet) -> None:
        state = "closed" if expert_set.closed_at else "takes labels"
        self.stdout.write(
            f"{expert_set.pk} {expert_set.name}: {state}, expressed from {expert_set.threshold}, "
            f"{expert_set.n_experts} experts per post"
        )
        for split in standing.summarize_splits(standing.list_standings(expert_set)):
            self.stdout.write(
                f"  {split.name}: {split.n_posts:,} posts, {split.n_unlabeled:,} not labeled, {split.n_complete:,} "
                f"complete; experts differ in {split.n_disputed:,}, {split.n_open:,} of them still open"
            )
        for each in standing.list_experts(expert_set):
            self.stdout.write(f"  {each.name}: {each.n_labeled:,} labeled, {each.n_revised:,} of them twice")
        for opening in expert_set.openings.all():
            self.stdout.write(f"  {services.say_opening(opening)}")

    def _make(self, study: Study, options: dict[str, Any]) -> None:
        made = services.create_set(
            study,
            name=options["name"],
            form=options["form"],
            threshold=options["threshold"],
            n_experts=options["experts"],
            test_share=options["test_share"],
            seed=options["seed"],
            posts=_read_posts(options["posts"], options["keys"]),
            with_corpus=options["with_corpus"],
            guidance=options["guidance"],
        )
        self._describe(made)

    def _import(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        with _open(options["file"]) as file:
            counts = import_labels(expert_set, file, revise=options["revise"])
        for sentence in counts.list_sentences():
            self.stdout.write(sentence)

    def _resolve(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        with _open(options["file"]) as file:
            number = import_resolutions(expert_set, file)
        self.stdout.write(f"{number:,} posts settled.")

    def _export(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        with options["file"].open("x", encoding="utf-8", newline="") as file:
            file.writelines(write_labels(expert_set))
        self.stdout.write(f"Written to {options['file']}.")

    def _close(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        self._describe(services.close_set(expert_set))

    def _reopen(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        self._describe(services.reopen_set(expert_set))

    def _open_test(self, expert_set: ExpertSet, options: dict[str, Any]) -> None:
        numbers = options["runs"]
        runs = list(AnnotatorRun.objects.select_related("annotator__prompt").filter(pk__in=numbers))
        if strangers := sorted(set(numbers) - {run.pk for run in runs}):
            raise CommandError(f"There is no run {', '.join(map(str, strangers))}.")
        family = services.get_family(runs[0].annotator)
        opening = services.open_test(expert_set, family, runs, reason=options["reason"])
        self.stdout.write(services.say_opening(opening))
        if any(run.is_standin for run in runs):
            self.stdout.write(SAYS_STANDIN)


def _add_for_set(deeds: Any, name: str, help_text: str) -> CommandParser:
    parser: CommandParser = deeds.add_parser(name, help=help_text)
    parser.add_argument("set", help="its number or its name")
    return parser


def _find_set(study: Study, asked: str) -> ExpertSet:
    sets = ExpertSet.objects.filter(study=study).select_related("study__value_system")
    found = sets.filter(name=asked).first()
    if found is None and asked.isascii() and asked.isdecimal() and len(asked) < 19:
        found = sets.filter(pk=int(asked)).first()
    if found is None:
        raise CommandError(f"Study '{study.slug}' has no expert set '{asked}'.")
    return found


def read_keys(path: Path) -> list[str]:
    """Return the keys of a file, one a line. Raises CommandError for another encoding, and OSError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8; save it in that encoding.") from error
    return [line.strip() for line in lines if line.strip()]


def _read_posts(posts: str, keys: Path | None) -> list[str] | int | None:
    if keys is not None:
        return read_keys(keys)
    if posts == "all":
        return None
    if not (posts.isascii() and posts.isdecimal() and len(posts) < 10):
        raise CommandError(f"--posts must be 'all' or a whole number, not '{posts}'.")
    return int(posts)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")
