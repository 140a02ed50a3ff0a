"""The OpenAPI document and the page made of it: public, of the software alone, and true."""

import ast
import json
import re
import subprocess
import sys

import jsonschema
import pytest
from django.urls import reverse

from modeling.api import examples, openapi, programs
from modeling.api.endpoints import ENDPOINTS
from modeling.api.problems import KINDS
from modeling.api.schemas import MAX_BATCH, MAX_BODY_BYTES, MAX_POSTS
from tests.factories import REPOSITORY


@pytest.fixture(scope="module")
def document():
    return openapi.build_document()


@pytest.fixture
def page(client):
    response = client.get(reverse("api:reference"))
    assert response.status_code == 200
    return response.content.decode()


def test_the_document_is_served_to_anybody(client, document):
    response = client.get(reverse("api:openapi"))
    assert response["Content-Type"] == "application/json"
    assert response.json() == json.loads(json.dumps(document))
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/api/v1"}]
    assert set(document["paths"]) == {f"/{each.name}" for each in ENDPOINTS}


def test_every_schema_is_one_and_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    led_to = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))
    assert set(led_to) == set(schemas)


def test_every_example_is_valid(document):
    def check(content, part):
        schema = {"components": document["components"]} | part["schema"]
        jsonschema.validate(content, schema)

    for path, operations in document["paths"].items():
        for operation in operations.values():
            told = operation["responses"]["200"]["content"]["application/json"]
            check(told["example"], told)
            if "requestBody" in operation:
                sent = operation["requestBody"]["content"]["application/json"]
                check(sent["example"], sent)
                endpoint = next(each for each in ENDPOINTS if f"/{each.name}" == path)
                endpoint.sends.model_validate(sent["example"])
    check(examples.PROBLEM, {"schema": {"$ref": "#/components/schemas/ProblemOut"}})


def test_no_two_kinds_of_problems_share_a_status(document):
    assert len({kind.status for kind in KINDS.values()}) == len(KINDS)
    for operations in document["paths"].values():
        for operation in operations.values():
            assert {"200", "401", "409", "429"} <= set(operation["responses"])


def test_the_document_states_the_limits(document):
    for limit in (MAX_POSTS, MAX_BATCH, MAX_BODY_BYTES):
        assert f"{limit:,}" in document["info"]["description"]


def test_the_page_shows_every_address_field_and_problem(page, document):
    for each in ENDPOINTS:
        assert f"<code>/api/v1/{each.name}</code>" in page
    for schema in document["components"]["schemas"].values():
        for name in schema.get("properties", ()):
            assert f"<code>{name}</code>" in page or name in {"title", "type", "status", "detail"} | {
                "errors",
                "where",
                "what",
                "mend",
            }
    for slug in KINDS:
        assert f'id="{slug}"' in page


def test_no_two_parts_of_the_page_have_one_name(page):
    names = re.findall(r'\bid="([^"]+)"', page)
    assert len(names) == len(set(names))


def test_the_page_needs_nothing_that_the_policy_forbids(client, page):
    policy = client.get(reverse("api:reference"))["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "<script" not in page
    assert not re.search(r"\sstyle=|\son\w+=|https?://(?!testserver)", page.replace("http://testserver", ""))


def test_the_page_shows_no_study(page, study):
    assert study.name not in page
    assert study.slug not in page


def test_the_python_example_is_a_program_of_the_standard_library():
    tree = ast.parse(programs.write_python("https://study.example.org"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        )
    }
    assert imported <= set(sys.stdlib_module_names)


def test_no_estimator_is_loaded_before_somebody_asks():
    program = (
        "import django, sys; django.setup(); from modeling.api import openapi, urls; openapi.build_document(); "
        "print(sorted({'numpy', 'sklearn', 'modeling.serving', 'modeling.api.scoring'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={"DJANGO_SETTINGS_MODULE": "config.settings.test", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
