"""`manage.py load_value_system [FILE]`"""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import Refused
from annotation.services import save_value_system
from annotation.tree.nodes import TreeError, ValueTree
from modeling.demo import load_default_tree


class Command(BaseCommand):
    help = (
        "Load a value system from a JSON file, or the shipped 19 Schwartz values; again to renew its wording."
    )

    def add_arguments(self, parser):
        parser.add_argument("file", nargs="?", type=Path, help="JSON file; the shipped system when left out")

    def handle(self, *args, file: Path | None, **options):
        try:
            tree = (
                ValueTree.from_dict(json.loads(file.read_text(encoding="utf-8")))
                if file
                else load_default_tree()
            )
            system = save_value_system(tree)
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except ValueError as error:  # not JSON, not UTF-8, or TreeError with every fault
            raise CommandError(
                str(error) if isinstance(error, TreeError) else f"{file} is not JSON: {error}"
            ) from error
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Loaded {system}: {len(tree.leaves)} values, {tree.depth} levels of questions.")
