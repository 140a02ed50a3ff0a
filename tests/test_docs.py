"""The documents name only what exists."""

import importlib
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
OURS = (
    "annotation",
    "bench",
    "calibration",
    "config",
    "docs",
    "jobs",
    "modeling",
    "static",
    "templates",
    "tests",
)
APPS = ("annotation", "calibration", "config", "jobs", "modeling")
ROOT_FILES = r"(?:[\w.-]+\.(?:toml|yaml|conf\.py|txt|in)|Procfile|Dockerfile|Makefile|LICENSE|[A-Z]+\.md)"

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def prose(document):
    """The text without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def anchors(document):
    """The names that headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_screenshot(path):
    """Screenshots are made from a running demonstration and added to a release."""
    return path.parent == ROOT / "docs/images" and path.suffix == ".png"


def resolve(dotted):
    """Import the longest module of a dotted name and follow the rest as attributes."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise LookupError(dotted)


def test_the_documents_were_found():
    names = {path.name for path in DOCUMENTS}
    assert {
        "README.md",
        "CHANGELOG.md",
        "architecture.md",
        "decisions.md",
        "deployment.md",
        "glossary.md",
    } <= names


@each_document
def test_every_relative_link_leads_to_a_file_and_a_heading(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.is_relative_to(ROOT), target
        assert path.exists() or is_screenshot(path), target
        if anchor:
            assert anchor in anchors(path), target


@each_document
def test_every_image_has_words_for_those_who_do_not_see_it(document):
    assert all(len(words) > 20 for words in re.findall(r"!\[([^\]]*)\]", prose(document)))


@each_document
def test_every_file_named_exists(document):
    for name in re.findall(r"`([^`\s]+)`", prose(document)):
        is_ours = name.split("/")[0] in OURS and "/" in name
        if (is_ours or re.fullmatch(ROOT_FILES, name)) and not re.search(r"[<>*{]", name):
            near = document.parent / name
            assert (ROOT / name).exists() or near.exists(), name


@each_document
def test_every_name_of_ours_can_be_imported(document):
    for name in re.findall(rf"`((?:{'|'.join(APPS)})(?:\.\w+)+)(?:\(.*?\))?`", prose(document)):
        resolve(name)


@each_document
def test_every_management_command_named_exists(document):
    commands = set(re.findall(r"manage\.py ([a-z_]\w*)", document.read_text()))
    assert commands <= set(get_commands())


@each_document
def test_every_make_target_named_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(
        r"(?:^    (?:\w+=\S+ )*|`(?:\w+=\S+ )*)make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE
    )
    assert set(named) <= targets


@each_document
def test_no_place_of_a_developers_machine_is_named(document):
    text = document.read_text()
    homes = re.findall(r"(?<![\w.])/(?:root|home|Users|work|workspace|mnt)/\S*", text)
    assert homes == []
    assert str(ROOT) not in text


def test_every_locked_dependency_has_its_reason():
    reasons = (ROOT / "docs/decisions.md").read_text().lower()
    wanted = (ROOT / "requirements.in").read_text() + (ROOT / "requirements-dev.in").read_text()
    names = re.findall(r"^([A-Za-z][\w-]*)", wanted, re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if f"**{name.lower()}**" not in reasons] == []
