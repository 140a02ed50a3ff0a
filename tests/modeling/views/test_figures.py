import csv
import io
import json

import pytest
from django.contrib.auth import get_user_model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from annotation.models import StudyAccess
from modeling.inclusion import DEFAULT
from modeling.models import Report
from modeling.templatetags.figures import as_table, cell
from tests.factories import StudyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.alike]

TABLE = {
    "columns": [
        {"key": "value", "label": "Value", "kind": "text"},
        {"key": "alpha", "label": "Alpha", "kind": "number"},
        {"key": "interval", "label": "95 % interval", "kind": "interval"},
    ],
    "rows": [["=<b>Care</b>", 0.1234567, [0.05, 0.2]], ["Play", None, None]],
}
EXTENSIONS = {
    "json": ("application/json", "inline"),
    "svg": ("image/svg+xml", "inline"),
    "pdf": ("application/pdf", "attachment"),
    "png": ("image/png", "attachment"),
    "csv": ("text/csv; charset=utf-8", "attachment"),
}


def make_figure(study=None, **changes):
    study = study or StudyFactory()
    report, _ = Report.objects.get_or_create(
        study=study,
        kind=Report.Kind.AGREEMENT,
        rule_key="default",
        defaults={"rule": DEFAULT.as_dict(), "measures": {}, "data_hash": "", "code_version": ""},
    )
    fields = {
        "key": "alpha_by_value",
        "position": 1,
        "title": "How far raters <agree>",
        "caption": "Of 3 raters.",
        "spec": {"mark": "point"},
        "table": TABLE,
        "svg": "<svg/>",
        "pdf": b"%PDF",
        "png": b"\x89PNG",
    }
    return report.figures.create(**fields | changes)


def file_of(figure, extension, study=None):
    slug = (study or figure.report.study).slug
    return reverse("modeling:figure_file", args=[slug, figure.pk, extension])


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_each_file_says_what_it_is_and_how_it_is_called(admin_client, extension):
    figure = make_figure()
    response = admin_client.get(file_of(figure, extension))
    kind, disposition = EXTENSIONS[extension]
    assert response.status_code == 200
    assert response["Content-Type"] == kind
    name = f"{figure.report.study.slug}-alpha_by_value.{extension}"
    assert response["Content-Disposition"] == f'{disposition}; filename="{name}"'
    assert response["Cache-Control"] == "private, no-cache"


def test_the_files_hold_what_was_stored(admin_client):
    figure = make_figure()
    assert admin_client.get(file_of(figure, "json")).json() == {"mark": "point"}
    assert admin_client.get(file_of(figure, "svg")).content == b"<svg/>"
    assert admin_client.get(file_of(figure, "pdf")).content == b"%PDF"
    assert admin_client.get(file_of(figure, "png")).content == b"\x89PNG"
    rows = list(csv.reader(io.StringIO(admin_client.get(file_of(figure, "csv")).content.decode())))
    assert rows == [
        ["value", "alpha", "interval_low", "interval_high"],
        ["'=<b>Care</b>", "0.1234567", "0.05", "0.2"],
        ["Play", "", "", ""],
    ]


def test_a_drawing_can_run_and_fetch_nothing(admin_client):
    response = admin_client.get(file_of(make_figure(), "svg"))
    assert response["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_figure_that_the_browser_has_is_not_sent_again_until_it_is_made_anew(admin_client):
    figure = make_figure()
    address = file_of(figure, "svg")
    mark = admin_client.get(address)["ETag"]
    assert admin_client.get(file_of(figure, "pdf"))["ETag"] != mark
    again = admin_client.get(address, headers={"If-None-Match": mark})
    assert (again.status_code, again.content) == (304, b"")
    Report.objects.update(created_at=timezone.now())
    assert admin_client.get(address, headers={"If-None-Match": mark}).status_code == 200


def test_a_figure_is_found_under_its_own_study_alone(admin_client):
    figure, other = make_figure(), make_figure()
    assert admin_client.get(file_of(figure, "csv", study=other.report.study)).status_code == 404
    assert admin_client.get(file_of(figure, "exe")).status_code == 404
    figure.delete()
    assert admin_client.get(reverse("modeling:figure_file", args=["nowhere", 1, "svg"])).status_code == 404


def test_only_those_with_a_role_in_the_study_see_its_figures(client):
    figure = make_figure()
    assert client.get(file_of(figure, "png")).status_code == 302
    colleague = get_user_model().objects.create_user("colleague", is_staff=True)
    client.force_login(colleague)
    assert client.get(file_of(figure, "png")).status_code == 404
    figure.report.study.accesses.create(user=colleague, role=StudyAccess.Role.ASSISTANT)
    assert client.get(file_of(figure, "png")).status_code == 200
    assert client.post(file_of(figure, "png")).status_code == 405


def test_a_file_takes_few_queries_and_reads_only_what_it_needs(admin_client, django_assert_max_num_queries):
    figure = make_figure()
    with django_assert_max_num_queries(4) as queries:
        admin_client.get(file_of(figure, "csv"))
    read = next(query["sql"] for query in queries.captured_queries if "reportfigure" in query["sql"])
    assert '"table"' in read
    assert '"svg"' not in read and '"pdf"' not in read and '"measures"' not in read


def show(figure, **context):
    return render_to_string(
        "modeling/_figure.html", {"figure": figure, "study": figure.report.study} | context
    )


def test_a_figure_on_a_page_works_without_scripts():
    figure = make_figure()
    page = show(figure)
    assert f'<img src="{file_of(figure, "svg")}" alt="How far raters &lt;agree&gt;; the table holds' in page
    for extension in ("svg", "pdf", "png", "csv"):
        assert f'<a href="{file_of(figure, extension)}" download>{extension.upper()}</a>' in page
    assert f'data-chart="{file_of(figure, "json")}"' in page
    assert "js/vega.js" in page
    assert "Of 3 raters." in page
    assert "<details>" in page
    assert "<details open>" in show(figure, table_open=True)


def test_a_table_writes_each_cell_by_its_kind_and_escapes_texts():
    html = as_table(TABLE)
    assert '<th scope="row">=&lt;b&gt;Care&lt;/b&gt;</th><td class="number">0.123</td>' in html
    assert '<td class="number">0.050 to 0.200</td>' in html
    assert '<th scope="row">Play</th><td class="number">–</td><td class="number">–</td>' in html
    assert '<th scope="col" class="number">95 % interval</th>' in html


@pytest.mark.parametrize(
    ("kind", "found", "text"),
    [
        ("text", "Care", "Care"),
        ("text", None, ""),
        ("count", 12345, "12,345"),
        ("number", -0.12345, "−0.123"),
        ("signed", 0.5, "+0.500"),
        ("signed", -0.5, "−0.500"),
        ("share", 0.1234, "12.3\u202f%"),
        ("share", -0.05, "−5.0\u202f%"),
        ("p", 0.0004, "< 0.001"),
        ("p", 0.04, "0.040"),
        ("interval", [-0.1, None], "−0.100 to –"),
        ("interval", [None, None], "–"),
        *((kind, None, "–") for kind in ("count", "number", "signed", "share", "p", "interval")),
    ],
)
def test_a_cell_is_written_as_its_kind_says(kind, found, text):
    assert cell(found, kind) == text


def test_a_specification_is_sent_as_json_that_a_browser_can_read(admin_client):
    figure = make_figure(spec={"datasets": {"a": [{"row": "</script>", "x": None}]}})
    content = admin_client.get(file_of(figure, "json")).content
    assert json.loads(content) == figure.spec
