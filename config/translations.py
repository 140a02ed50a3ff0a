"""The catalogues of the interface: `python -m config.translations extract [LANGUAGE ...]`, `... compile`.

`extract` collects what templates and sources mark for translation into the .po files in `locale/`, which
translators edit and version control keeps; a language named beside it is begun. `compile` makes of each the .mo
file that Django reads. Neither needs gettext's programs, settings or a database. See docs/translations.md.
"""

import os
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "locale"
RESEARCHERS = ("admin", "account", "mfa")  # folders of templates that no participant sees: they stay English
PACKAGES = ("annotation", "calibration", "config", "jobs", "modeling")
CATALOG = "LC_MESSAGES/django.po"
COMMENT_TAG = "Translators"  # as Django's templates have it
LAZY = ("gettext", "ngettext", "pgettext", "npgettext")
KEYWORDS = DEFAULT_KEYWORDS | {f"{name}_lazy": DEFAULT_KEYWORDS[name] for name in LAZY}
HEADER = r"""msgid ""
msgstr ""
"Language: {language}\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: {plural_forms}\n"

"""


def collect_messages(root: Path = ROOT) -> Catalog:
    """Return every message marked in the templates and sources below `root`, in the order of their places."""
    found = Catalog()
    for path, source in _list_sources(root):
        name = path.relative_to(root).as_posix()
        marked = extract(
            "python", BytesIO(source.encode()), KEYWORDS, (COMMENT_TAG,), strip_comment_tags=True
        )
        for line, message, comments, context in marked:
            found.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return found


def _list_sources(root: Path) -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path, path.read_text(encoding="utf-8")
    templates = root / "templates"
    for path in sorted(templates.rglob("*.html")):
        if path.relative_to(templates).parts[0] in RESEARCHERS:
            continue
        calls = templatize(path.read_text(encoding="utf-8"), origin=str(path))
        # What is left of the page's own indentation means nothing, but would have to be Python's.
        yield path, "\n".join(line.lstrip() for line in calls.split("\n"))


def list_catalogs(folder: Path = LOCALE) -> list[Path]:
    """Return the .po file of each language."""
    return sorted(folder.glob(f"*/{CATALOG}"))


def read_catalog(path: Path) -> Catalog:
    """Read a .po file; one that does not exist yet holds nothing.

    Raises ValueError for one that cannot be read, with its line, and for a folder that names no locale.
    """
    source = path.read_bytes() if path.exists() else b""
    try:
        catalog = read_po(BytesIO(source), locale=path.parents[1].name, abort_invalid=True)
    except PoFileError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error}") from error
    if catalog.locale is None:
        raise ValueError(f"{path}: '{path.parents[1].name}' is not the name of a locale, such as 'pt_BR'")
    return catalog


def renew(path: Path, found: Catalog) -> Catalog:
    """Write a .po file with exactly the messages found, keeping the translations it has; return what it holds.

    No translation is guessed from a similar message. The file carries neither lines nor dates, so that it
    differs only where messages do.
    """
    catalog = read_catalog(path)
    for message in found:
        known = catalog.get(message.id, message.context)
        if known and known.pluralizable != message.pluralizable:
            catalog.delete(message.id, message.context)
    catalog.update(found, no_fuzzy_matching=True)
    written = BytesIO()
    write_po(
        written, catalog, omit_header=True, sort_by_file=True, include_lineno=False, ignore_obsolete=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    header = HEADER.format(language=catalog.locale_identifier, plural_forms=catalog.plural_forms)
    path.write_text(header + written.getvalue().decode(), encoding="utf-8")
    return catalog


def compile_catalog(path: Path) -> Path:
    """Write the .mo file beside a .po file, at once and whole; fuzzy translations stay out.

    Raises ValueError, naming each message, when a translation has placeholders that its message has not: it would
    break the page that shows it.
    """
    catalog = read_catalog(path)
    faults = [f"{message.id!r}: {error}" for message, errors in catalog.check() for error in errors]
    if faults:
        raise ValueError(f"{path} has translations that do not fit:\n- " + "\n- ".join(faults))
    compiled = path.with_suffix(".mo")
    unfinished = compiled.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        write_mo(file, catalog)
    return unfinished.replace(compiled)


def compile_stale(folder: Path = LOCALE) -> list[Path]:
    """Compile what is not compiled or has changed since; return the .mo files written."""
    return [compile_catalog(path) for path in list_catalogs(folder) if _is_stale(path)]


def _is_stale(path: Path) -> bool:
    compiled = path.with_suffix(".mo")
    return not compiled.exists() or compiled.stat().st_mtime_ns < path.stat().st_mtime_ns


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Do what the command line asks for and say what came of it; 2 for a command that does not exist."""
    command, *languages = arguments or [""]
    folder = root / "locale"
    if command == "extract":
        found = collect_messages(root)
        for path in sorted(
            {*list_catalogs(folder), *(folder / to_locale(each) / CATALOG for each in languages)}
        ):
            catalog = renew(path, found)
            n_missing = sum(not all(_as_forms(message.string)) for message in catalog if message.id)
            print(f"{path.relative_to(root)}: {len(catalog)} messages, {n_missing} without a translation")
    elif command == "compile" and not languages:
        for path in list_catalogs(folder):
            print(f"wrote {compile_catalog(path).relative_to(root)}")
    else:
        print(__doc__)
        return 2
    return 0


def _as_forms(string: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, tuple | list) else (string or "",)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
