"""``/openapi.json``: valid, complete, and true."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest
from izzati_page import Page
from openapi_spec_validator import OpenAPIV31SpecValidator

from izzati import Claims, Codec, Identity, Problem, file_return, hookimpl


def caption(text, data):
    """Say what is on
    a photo.

      In one sentence,
    and no more.
    """
    return {"about": text, "files": [file.filename for file in data]}


def described(serve, functions, *plugins, **options):
    served = serve(functions, plugins=[Page(**options), *plugins])
    answer = served.request(method="GET", path="/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    OpenAPIV31SpecValidator(answer.json).validate()
    return answer.json


def test_a_function_is_described_by_its_docstring(serve):
    document = described(serve, caption, title="Dog show", version="2.1")
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "Dog show", "version": "2.1"}
    operation = document["paths"]["/"]["post"]
    assert operation["operationId"] == "caption"
    assert operation["summary"] == "Say what is on a photo"
    assert operation["description"] == "  In one sentence,\nand no more."
    assert "security" not in document


def test_every_function_has_a_name_of_its_own(serve):
    def show_dogs(text, data):
        pass

    def long(text, data):
        pass

    def _(text, data):
        pass

    long.__doc__ = "A word " * 20
    functions = {
        "/": lambda text, data: {},
        "/a": show_dogs,
        "/b/<x>": functools.partial(show_dogs),
        "/b": show_dogs,
        "/c": long,
        "/d/e": lambda text, data: {},
        "/f": _,
        "/_": _,
    }
    paths = described(serve, functions)["paths"]
    named = {path: (its["post"]["operationId"], its["post"]["summary"]) for path, its in paths.items()}
    assert paths["/"]["get"]["operationId"] == "page"
    assert named == {
        "/": ("send_text_and_files", "Send text and files"),
        "/a": ("show_dogs", "Show dogs"),
        "/b/{x}": ("show_dogs_b", "Show dogs"),
        "/b": ("show_dogs_2", "Show dogs"),
        "/c": ("long", "Long"),
        "/d/e": ("d_e", "D e"),
        "/f": ("f", "F"),
        "/_": ("send_text_and_files_2", "Send text and files"),
    }
    assert paths["/c"]["post"]["description"] == ("A word " * 20).strip()


@pytest.mark.parametrize(
    ("rule", "path", "schemas"),
    [
        ("/dogs/<name>", "/dogs/{name}", {"name": {"type": "string", "minLength": 1}}),
        (
            "/<string(minlength=2, maxlength=5):name>",
            "/{name}",
            {"name": {"type": "string", "minLength": 2, "maxLength": 5}},
        ),
        ("/<string(length=2):name>", "/{name}", {"name": {"type": "string", "minLength": 2, "maxLength": 2}}),
        (
            "/<int:n>.<float(signed=True):x>",
            "/{n}.{x}",
            {"n": {"type": "integer", "minimum": 0}, "x": {"type": "number"}},
        ),
        ("/<int(min=2,max=7):n>", "/{n}", {"n": {"type": "integer", "minimum": 2, "maximum": 7}}),
        ("/<any(dog, 'a cat'):kind>", "/{kind}", {"kind": {"type": "string", "enum": ["dog", "a cat"]}}),
        ("/<uuid:id>", "/{id}", {"id": {"type": "string", "format": "uuid"}}),
        ("/<path:rest>/end", "/{rest}/end", {"rest": {"type": "string", "format": "path", "minLength": 1}}),
        ("/größe {x}", "/gr%C3%B6%C3%9Fe%20%7Bx%7D", {}),
        ("/~1/%7e", "/~1/%257e", {}),
        ("/what? #1 100%<x>", "/what%3F%20%231%20100%25{x}", {"x": {"type": "string", "minLength": 1}}),
    ],
)
def test_variables_of_a_path_are_parameters(serve, rule, path, schemas):
    [_, (described_path, item)] = described(serve, {rule: caption})["paths"].items()
    assert described_path == path
    parameters = item["post"].get("parameters", [])
    assert {each["name"]: each["schema"] for each in parameters} == schemas
    assert all(each["in"] == "path" and each["required"] is True for each in parameters)


@pytest.mark.parametrize("rule", ["/~1/%7e", "/100%", "/a%2Fb", "/a? #b", "/é/ü {x}", "/!$&'()*+,;=:@[]|^`\"\\"])
def test_a_path_as_it_is_described_is_where_the_function_is(serve, rule):
    served = serve({rule: lambda text, data: "hit"}, plugins=[Page()])
    paths = served.request(method="GET", path="/openapi.json").json["paths"]
    assert served.request(path=[*paths][1]).json == "hit"


def test_rules_that_differ_only_by_converters_are_both_described(serve):
    paths = described(serve, {"/<int:x>": caption, "/<x>": caption})["paths"]
    assert list(paths) == ["/", "/{x}", "/{x_}"]


class Pairs(Codec):
    reads = ("text/x-pair", "*+pair")
    writes = ("text/x-pair",)


def test_the_media_types_are_those_of_the_installed_codecs(serve):
    operation = described(serve, caption, Pairs())["paths"]["/"]["post"]
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "text/x-pair",
        "application/octet-stream",
        "image/*",
        "audio/*",
        "video/*",
    }
    assert list(operation["responses"]["200"]["content"]) == ["text/x-pair", "application/json", "*/*"]


class Guard:
    @hookimpl
    def izzati_claims(self):
        return Claims(challenges=('Bearer realm="a", scope="b"', 'Basic realm="a"', 'Bearer realm="c"'))

    @hookimpl
    def izzati_identify(self, request):
        return Identity("ann") if request.headers.get("Authorization") == "Bearer a" else None


def test_the_ways_to_say_who_calls_are_those_of_the_challenges(serve):
    served = serve(caption, plugins=[Page(), Guard()])
    assert served.request(method="GET", path="/openapi.json").status == 401
    document = served.request(method="GET", path="/openapi.json", headers={"Authorization": "Bearer a"}).json
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic"},
    }
    assert document["security"] == [{"bearer": []}, {"basic": []}]
    assert "401" in document["paths"]["/"]["post"]["responses"]


def shout(text, data):
    """Answer with a file, or a refusal."""
    if not data:
        raise Problem(404, "No file arrived.")
    return file_return(data[0].read().upper(), filename="shout.txt")


@pytest.mark.once
@pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])
def test_what_it_says_is_true(serve, tmp_path, guarded):
    functions = {"/": caption, "/shout": shout, "/dogs/<int(max=9):number>/<any(a, b):kind>/<name>": caption}
    served = serve(functions, plugins=[Page(), *([Guard()] if guarded else [])])
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    command += ["--max-examples=25", "--seed=1", "--checks=all", "--no-color", "--workers=1"]
    command += ["--header=Authorization: Bearer a"] if guarded else []
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
