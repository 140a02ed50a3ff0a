import subprocess
import sys
from pathlib import Path

import pytest
import vl_convert
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import override_settings

from modeling import charting
from modeling.charting import ChartLibraryFinder

FINDER = "modeling.charting.ChartLibraryFinder"


@pytest.fixture
def var_dir(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    return tmp_path


@pytest.fixture
def quick(monkeypatch):
    """Count how often the library is made, without making it."""
    made = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: made.append(snippet) or "made();")
    return made


def test_the_library_is_made_once_and_found_again(var_dir, quick):
    found = ChartLibraryFinder().find("js/vega.js")
    assert Path(found).read_text(encoding="utf-8") == "made();"
    assert Path(found).is_relative_to(var_dir)
    assert ChartLibraryFinder().find("js/vega.js", find_all=True) == [found]
    assert quick == ["window.vegaEmbed = vegaEmbed;"]
    assert [path.name for path in Path(found).parent.iterdir()] == ["vega.js"]


def test_another_version_of_the_drawing_library_makes_it_anew(var_dir, quick, monkeypatch):
    old = ChartLibraryFinder().find("js/vega.js")
    monkeypatch.setattr(charting, "version", lambda distribution: "99.0")
    assert ChartLibraryFinder().find("js/vega.js") != old
    assert len(quick) == 2


def test_other_files_are_not_looked_for_and_make_nothing(var_dir, quick):
    assert ChartLibraryFinder().find("js/study.js") == []
    assert list(ChartLibraryFinder().list(["*.js"])) == []
    assert quick == []


def test_a_process_that_serves_pages_does_not_load_the_drawing_library():
    code = "import modeling.charting, sys; sys.exit('vl_convert' in sys.modules or 'altair' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_is_collected_with_a_name_of_its_own_and_compressed(var_dir, tmp_path):
    storages = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    target = tmp_path / "collected"
    finders.get_finder.cache_clear()
    with override_settings(STATICFILES_FINDERS=[FINDER], STATIC_ROOT=target, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
    names = sorted(path.name for path in (target / "js").iterdir())
    assert names[0].startswith("vega.") and names[0].endswith(".js")
    assert names[1] == f"{names[0]}.gz"
    assert names[2:] == ["vega.js", "vega.js.gz"]
    script = (target / "js" / "vega.js").read_text(encoding="utf-8")
    assert "window.vegaEmbed" in script
    assert len(script) > 500_000
