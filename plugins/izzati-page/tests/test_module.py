"""``/izzati.js``: the same call from Node, from web pages of this and other origins, and from React Native."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from izzati_page import Page
from werkzeug.wrappers import Response

from izzati import Problem, Reply, Route, file_return, hookimpl

NASTY = ['a "b"', "a\\", 'a\\"b', "größe 🐕", "a;b=c", "a\tb", "a\r\nb\n\r", "", "%41", "--izzati-", "'", "<a&b>"]


@pytest.fixture
def recorder(serve):
    """Serve a callback that keeps what it got."""
    calls = []

    def callback(text, data):
        calls.append((text, [(file.name, file.filename, file.content_type, file.read()) for file in data]))
        return {"status": "yes"}

    served = serve(callback, plugins=[Page()])
    served.calls = calls
    return served


def test_text_travels_as_json(recorder, node):
    text = {"name": "Rex", "age": 3, "toys": [{"ball": True}, None], "größe": "🐕", "__proto": {}}
    assert node(f"console.log(JSON.stringify(await send('{recorder.url}', {{ text: {json.dumps(text)} }})))") == {
        "status": "yes"
    }
    assert recorder.calls == [(text, [])]


def test_nothing_at_all_is_sent_too(recorder, node):
    node(f"console.log(JSON.stringify(await send('{recorder.url}')))")
    assert recorder.calls == [({}, [])]


def test_nested_values_and_files_travel_together(recorder, node, photo):
    text = {
        "name": "Rex",
        "age": 3,
        "ratio": 1.5,
        "toys": [{"ball": True}, None],
        "none": None,
        "yes": False,
        "three": "3",
    }
    node(f"""
        import {{ openAsBlob }} from "node:fs";
        const files = [
            new File(["woof"], "rex.txt", {{ type: "text/plain" }}),
            ["größe.png", await openAsBlob({json.dumps(str(photo))}, {{ type: "image/png" }})],
            ["bytes", new Uint8Array([0, 13, 10, 255])],
            new Blob(["no name"]),
        ];
        const text = {{ ...{json.dumps(text)}, nothing: undefined }};
        console.log(JSON.stringify(await send(new URL('{recorder.url}'), {{ text, files }})));
    """)
    assert recorder.calls == [
        (
            text,
            [
                ("file", "rex.txt", "text/plain", b"woof"),
                ("file", "größe.png", "image/png", photo.read_bytes()),
                ("file", "bytes", "application/octet-stream", b"\0\r\n\xff"),
                ("file", "file", "application/octet-stream", b"no name"),
            ],
        )
    ]


def test_text_that_is_json_already_is_sent_as_it_is_written(recorder, node):
    node(f"""
        const text = '{{"id": 12345678901234567890, "ratio": 1.0, "name": "Rex"}}';
        await send('{recorder.url}', {{ text }});
        console.log(JSON.stringify(await send('{recorder.url}', {{ text, files: [new Blob(["x"])] }})));
    """)
    wanted = "{'id': 12345678901234567890, 'ratio': 1.0, 'name': 'Rex'}"
    assert [repr(text) for text, _ in recorder.calls] == [wanted, wanted]


def test_what_is_no_file_is_told(node):
    cases = {
        '["rex.jpg"]': '`files[0]` is "rex.jpg"',
        '"rex.jpg"': '`files` is "rex.jpg"',
        'new Blob(["x"])': "`files` is of the kind Blob",
        "null": "`files` is null",
        '[new Blob(["x"]), ["rex.jpg", "a photo"]]': '`files[1]` is ["rex.jpg", "a photo"]',
        '[[new Blob(["x"]), "rex.jpg"]]': '`files[0]` is [of the kind Blob, "rex.jpg"]',
    }
    told = node(f"""
        const calls = [{", ".join(cases)}].map((files) => send("http://127.0.0.1:9", {{ files }}));
        const errors = await Promise.allSettled(calls);
        console.log(JSON.stringify(errors.map(({{ reason }}) => [reason instanceof TypeError, reason.message])));
    """)
    assert [isinstance_ for isinstance_, _ in told] == [True] * len(cases)
    assert [message.partition(", and should be ")[0] for _, message in told] == list(cases.values())
    assert all("a File or a Blob, or a pair of its name and a Blob or bytes" in message for _, message in told)


def test_names_arrive_as_they_are(recorder, node):
    text = {f"{name}{number}": name for number, name in enumerate(NASTY)}
    names = [f"x{name}y" for name in NASTY]
    node(f"""
        const files = {json.dumps(names)}.map((name) => [name, new Blob(["x"])]);
        console.log(JSON.stringify(await send('{recorder.url}', {{ text: {json.dumps(text)}, files }})));
    """)
    [(arrived, data)] = recorder.calls
    assert arrived == text
    # izzati takes a path's last component, whoever sent it.
    assert [name for _, name, _, _ in data] == [name.rpartition("\\")[2] for name in names]


def test_a_file_comes_back_with_its_name_and_type(serve, node):
    served = serve(
        {
            "/file": lambda text, data: file_return(b"\0\xff", filename='größe "1".png'),
            "/bytes": lambda text, data: b"\0\xff",
            "/list": lambda text, data: [1, {"a": None}],
            "/empty": lambda text, data: Reply(b"", status=204),
        }
    )
    assert node(f"""
        const found = [];
        for (const path of ["file", "bytes", "list", "empty"]) {{
            const answer = await send(`{served.url}/${{path}}`);
            const bytes = answer instanceof Blob ? [...new Uint8Array(await answer.arrayBuffer())] : answer;
            found.push([answer.name ?? null, answer.type ?? null, bytes]);
        }}
        console.log(JSON.stringify(found));
    """) == [
        ['größe "1".png', "image/png", [0, 255]],
        ["", "application/octet-stream", [0, 255]],
        [None, None, [1, {"a": None}]],
        ["", "application/octet-stream", []],
    ]


def test_a_refusal_is_thrown_with_its_fields(serve, node):
    def callback(text, data):
        raise Problem(422, "There is no dog on it.", hint="Try another one.", headers={"Retry-After": "3"})

    served = serve({"/": callback, "/odd": lambda text, data: Reply([1], status=400)})
    assert node(f"""
        const found = [];
        for (const path of ["", "odd", "nowhere"]) {{
            const error = await send(`{served.url}/${{path}}`).catch((error) => error);
            found.push([error instanceof Problem, error.status, error.message, error.fields.hint ?? null]);
        }}
        console.log(JSON.stringify(found));
    """) == [
        [True, 422, "There is no dog on it.", "Try another one."],
        [True, 400, "The server answered with status 400.", None],
        [True, 404, "Nothing answers at this path. These paths do: /, /odd, /healthz", None],
    ]


def test_headers_a_signal_and_progress_are_taken(serve, node):
    served = serve(lambda text, data, *, request: [request.headers["X-Dog"], data[0].size])
    assert node(f"""
        const seen = [];
        const progress = (sent, total) => seen.push([sent, total]);
        const options = {{ headers: {{ "X-Dog": "Rex" }}, files: [new Blob([new Uint8Array(300000)])], progress }};
        const answer = await send("{served.url}", options);
        const [sent, total] = seen.at(-1);
        const grew = seen.every(([sent], place) => place === 0 || sent > seen[place - 1][0]);
        const ended = await send("{served.url}", {{ signal: AbortSignal.abort() }}).catch((error) => error.name);
        console.log(JSON.stringify([answer, sent === total, total > 300000, grew, seen.length > 1, ended]));
    """) == [["Rex", 300000], True, True, True, True, "AbortError"]


def test_react_natives_files_go_by_its_own_form(recorder, node):
    text = {'a "name"': "Rex", "toys": [{"ball": True}], "age": 3}
    node(f"""
        await import("{Path(__file__).parent / "react_native.js"}");
        const files = [{{ uri: "file:///rex.jpg", name: "rex.jpg", type: "image/jpeg" }}, {{ uri: "ph://7/cat" }}];
        console.log(JSON.stringify(await send("{recorder.url}", {{ text: {json.dumps(text)}, files }})));
    """)
    photos = [
        ("file", "rex.jpg", "image/jpeg", b"of a dog"),
        ("file", "cat", "application/octet-stream", b"of a cat"),
    ]
    assert recorder.calls == [(text, photos)]


class Elsewhere:
    """A page of another origin: nothing of izzati, and no policy."""

    @hookimpl
    def izzati_routes(self):
        yield Route("/elsewhere", lambda request: Response("<title>elsewhere</title>", content_type="text/html"))


SENDS = """async (url) => {
    const { send } = await import(`${url}/izzati.js`);
    const seen = [];
    const progress = (sent, total) => seen.push(sent === total);
    const file = new File(["woof"], "größe.txt", { type: "text/plain" });
    const answer = await send(url, { text: { toys: [1, null], name: "Rex" }, files: [file], progress });
    return [answer.name, answer.type, await answer.text(), seen.at(-1)];
}"""


def answer(text, data):
    assert (text, data[0].filename) == ({"toys": [1, None], "name": "Rex"}, "größe.txt")
    return file_return(data[0].read() + b"!", filename="größe.txt")


def test_a_page_of_this_origin_sends(visit):
    page = visit(answer)
    assert page.evaluate(SENDS, page.served.url) == ["größe.txt", "text/plain", "woof!", True]


def test_a_page_of_another_origin_sends_where_it_is_allowed_and_nowhere_else(serve, tab):
    elsewhere = serve(lambda text, data: {}, plugins=[Elsewhere()])
    options = {"browsers": {"allow_origins": [elsewhere.url]}}
    allowed = serve(answer, plugins=[Page()], options=options)
    closed = serve(answer, plugins=[Page()])
    page = tab()
    page.goto(f"{elsewhere.url}/elsewhere")
    assert page.evaluate(SENDS, allowed.url) == ["größe.txt", "text/plain", "woof!", True]
    refused = f"(url) => ({SENDS})(url).catch((error) => error.message)"
    assert "Failed to fetch dynamically imported module" in page.evaluate(refused, closed.url)


def test_in_a_browser_a_call_is_ended_and_a_server_that_has_gone_is_told(visit):
    page = visit(answer)
    calls = """async (url) => {
        const { send } = await import(`${url}/izzati.js`);
        const controller = new AbortController();
        const [signal, progress] = [controller.signal, () => {}];
        const calling = send(url, { files: [new Blob(["x"])], signal, progress }).catch((error) => error.name);
        controller.abort();
        const gone = await send("http://127.0.0.1:9", { progress }).catch((error) => [error.name, error.message]);
        return [await calling, gone];
    }"""
    ended, gone = page.evaluate(calls, page.served.url)
    assert ended == "AbortError"
    assert gone == ["TypeError", "The server could not be reached, or the connection broke off."]
    page.faults.clear()  # the policy does not let the page call another server, which is as good as none
