"""Clients that exist already: what each sends, byte for byte, arrives, and it can read the answer."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess

import pytest
from helpers import JPEG

from izzati import file_return

URLENCODED = b"application/x-www-form-urlencoded"
OCTETS = "application/octet-stream"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def post(head: bytes, content_type: bytes, body: bytes) -> bytes:
    """A client's request: its head, with type and length where it puts them, and the body."""
    return head % {b"type": content_type, b"length": len(body)} + body


def exchange(served, request: bytes) -> tuple[bytes, bytes]:
    """Send these bytes, the body only when asked for it if they expect that; return the head and body of the answer."""
    head, end, body = request.partition(b"\r\n\r\n")
    with served.connect() as sock, sock.makefile("rb") as stream:
        if b"\r\nExpect: 100-continue" in head:
            sock.sendall(head + end)
            assert read_head(stream) == CONTINUE
            sock.sendall(body)
        else:
            sock.sendall(request)
        answer = read_answer(stream)
        if b"\r\nConnection: close" in head:
            assert stream.read() == b"", "the server sent more than its answer"
        return answer


def read_answer(stream) -> tuple[bytes, bytes]:
    head = read_head(stream)
    length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    assert length, head
    return head, stream.read(int(length[1]))


def read_head(stream) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, f"the connection ended after {head!r}"
        head += line
    return head


def assert_readable(head: bytes, content_type: bytes = b"application/json") -> None:
    """Assert what old clients rely on: the names of headers to the case, the type to the letter, nothing packed."""
    status, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert status == b"HTTP/1.1 200 OK"
    assert b"Content-Type: " + content_type in fields
    names = [field.partition(b":")[0].lower() for field in fields]
    assert names.count(b"content-type") == names.count(b"content-length") == 1
    assert not {b"content-encoding", b"transfer-encoding"} & {*names}


def received(recorder, request: bytes):
    """The text and files that the callback gets for this request, whose answer must be readable."""
    head, body = exchange(recorder, request)
    assert_readable(head)
    assert json.loads(body) == {"status": "yes"}
    (call,) = recorder.calls
    return call


# Python: Frontend of izzati 1.x, which uses requests.

PYTHON = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"User-Agent: python-requests/2.18.4\r\n"
    b"Accept-Encoding: gzip, deflate\r\n"
    b"Accept: */*\r\n"
    b"Connection: keep-alive\r\n"
    b"Content-Length: %(length)d\r\n"
    b"Content-Type: %(type)b\r\n"
    b"\r\n"
)
PYTHON_MULTIPART = b"multipart/form-data; boundary=d0a74b67aa29a2d6af5a61d68a50fd5d"
PYTHON_TEXT = (
    b'--d0a74b67aa29a2d6af5a61d68a50fd5d\r\nContent-Disposition: form-data; name="name"\r\n\r\nZo\xc3\xab & co\r\n'
)
PYTHON_LIST = (
    b"--d0a74b67aa29a2d6af5a61d68a50fd5d\r\n"
    b'Content-Disposition: form-data; name="tags"\r\n'
    b"\r\n"
    b"b\r\n"
    b"--d0a74b67aa29a2d6af5a61d68a50fd5d\r\n"
    b'Content-Disposition: form-data; name="tags"\r\n'
    b"\r\n"
    b"a\r\n"
)
PYTHON_FILE = (
    b'--d0a74b67aa29a2d6af5a61d68a50fd5d\r\nContent-Disposition: form-data; name="file"; %b\r\n\r\n' + JPEG + b"\r\n"
)
PYTHON_END = b"--d0a74b67aa29a2d6af5a61d68a50fd5d--\r\n"


def test_python_that_sends_neither_text_nor_file_gives_an_empty_dict_and_no_files(recorder):
    request = (
        b"POST / HTTP/1.1\r\n"
        b"Host: 127.0.0.1:5020\r\n"
        b"User-Agent: python-requests/2.18.4\r\n"
        b"Accept-Encoding: gzip, deflate\r\n"
        b"Accept: */*\r\n"
        b"Connection: keep-alive\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    assert received(recorder, request) == ({}, [])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"name=Zo%C3%AB+%26+co&n=3", {"name": "Zoë & co", "n": "3"}, id="values"),
        pytest.param(b"tags=b&tags=a&x=y+z", {"tags": ["b", "a"], "x": "y z"}, id="list"),
        pytest.param(b"name=&flag=True", {"name": "", "flag": "True"}, id="empty"),
    ],
)
def test_python_without_a_file_sends_text(recorder, body, text):
    assert received(recorder, post(PYTHON, URLENCODED, body)) == (text, [])


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        pytest.param(b"", {}, id="alone"),
        pytest.param(PYTHON_TEXT, {"name": "Zoë & co"}, id="text"),
        pytest.param(PYTHON_LIST + PYTHON_TEXT, {"tags": ["b", "a"], "name": "Zoë & co"}, id="list"),
    ],
)
def test_python_with_a_file_sends_it_and_the_text(recorder, parts, text):
    body = parts + PYTHON_FILE % b'filename="rex.jpg"' + PYTHON_END
    assert received(recorder, post(PYTHON, PYTHON_MULTIPART, body)) == (text, [("file", "rex.jpg", OCTETS, JPEG)])


@pytest.mark.parametrize(
    "filename",
    [
        pytest.param(b"filename*=utf-8''S%C3%BC%C3%9Fe%20Ente.jpg", id="extended"),
        pytest.param('filename="Süße Ente.jpg"'.encode(), id="utf-8"),
    ],
)
def test_python_writes_a_filename_that_is_not_ascii_in_two_ways_by_its_age(recorder, filename):
    body = PYTHON_FILE % filename + PYTHON_END
    assert received(recorder, post(PYTHON, PYTHON_MULTIPART, body)) == ({}, [("file", "Süße Ente.jpg", OCTETS, JPEG)])


# Java and Android: AsyncHttpClient 1.4.9.

JAVA = (
    b"POST / HTTP/1.1\r\n"
    b"Accept-Encoding: gzip\r\n"
    b"Content-Length: %(length)d\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"Connection: Keep-Alive\r\n"
    b"User-Agent: Apache-HttpClient/UNAVAILABLE (java 1.4)\r\n"
    b"\r\n"
)
JAVA_MULTIPART = b"multipart/form-data; boundary=-_hG3kQ0zV9bT7yXm2-dLw5cRf8sJa"
JAVA_TEXT = (
    b"---_hG3kQ0zV9bT7yXm2-dLw5cRf8sJa\r\n"
    b'Content-Disposition: form-data; name="name"\r\n'
    b"Content-Type: text/plain; charset=UTF-8\r\n"
    b"%(encoding)b"
    b"\r\n"
    b"Zo\xc3\xab & co\r\n"
)
JAVA_MORE_TEXT = (
    b"---_hG3kQ0zV9bT7yXm2-dLw5cRf8sJa\r\n"
    b'Content-Disposition: form-data; name="note"\r\n'
    b"Content-Type: text/plain; charset=UTF-8\r\n"
    b"%(encoding)b"
    b"\r\n"
    b"two\r\nlines\r\n"
)
JAVA_FILE = (
    b"---_hG3kQ0zV9bT7yXm2-dLw5cRf8sJa\r\n"
    b'Content-Disposition: form-data; name="file"; filename="IMG_2017 (1).jpg"\r\n'
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Transfer-Encoding: binary\r\n"
    b"\r\n" + JPEG + b"\r\n"
)
JAVA_END = b"---_hG3kQ0zV9bT7yXm2-dLw5cRf8sJa--\r\n"


@pytest.mark.parametrize("content_type", [URLENCODED, URLENCODED + b"; charset=UTF-8"])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"name=Zo%C3%AB+%26+co&n=3", {"name": "Zoë & co", "n": "3"}, id="values"),
        pytest.param(b"tags=b&tags=a&empty=", {"tags": ["b", "a"], "empty": ""}, id="repeated"),
        pytest.param(b"dog%5Bname%5D=Rex&age%5B0%5D=3", {"dog[name]": "Rex", "age[0]": "3"}, id="brackets"),
    ],
)
def test_java_without_a_file_sends_text(recorder, content_type, body, text):
    assert received(recorder, post(JAVA, content_type, body)) == (text, [])


@pytest.mark.parametrize("encoding", [b"", b"Content-Transfer-Encoding: 8bit\r\n"], ids=["plain", "8bit"])
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(JAVA_TEXT + JAVA_MORE_TEXT + JAVA_FILE, id="last"),
        pytest.param(JAVA_FILE + JAVA_TEXT + JAVA_MORE_TEXT, id="first"),
        pytest.param(JAVA_MORE_TEXT + JAVA_FILE + JAVA_TEXT, id="between"),
    ],
)
def test_java_sends_a_file_before_or_after_the_text(recorder, parts, encoding):
    body = parts % {b"encoding": encoding} + JAVA_END
    text = {"name": "Zoë & co", "note": "two\r\nlines"}
    files = [("file", "IMG_2017 (1).jpg", OCTETS, JPEG)]
    assert received(recorder, post(JAVA, JAVA_MULTIPART, body)) == (text, files)


def test_java_sends_a_file_without_text(recorder):
    request = post(JAVA, JAVA_MULTIPART, JAVA_FILE + JAVA_END)
    assert received(recorder, request) == ({}, [("file", "IMG_2017 (1).jpg", OCTETS, JPEG)])


# React Native: react-native-fetch-blob, which writes two heads and three kinds of boundary.

ANDROID = (
    b"POST / HTTP/1.1\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Content-Length: %(length)d\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"Connection: Keep-Alive\r\n"
    b"Accept-Encoding: gzip\r\n"
    b"User-Agent: okhttp/3.4.1\r\n"
    b"\r\n"
)
IOS = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Connection: keep-alive\r\n"
    b"Accept: */*\r\n"
    b"User-Agent: Dogs/1 CFNetwork/811.5.4 Darwin/16.7.0\r\n"
    b"Content-Length: %(length)d\r\n"
    b"Accept-Language: en-us\r\n"
    b"Accept-Encoding: gzip, deflate\r\n"
    b"\r\n"
)
IOS_EXPECTING = IOS.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
REACT_TEXT = (
    b"--%(boundary)b\r\n"
    b'Content-Disposition: form-data; name="name"\r\n'
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"Zo\xc3\xab & co\r\n"
)
REACT_FILE = (
    b"--%(boundary)b\r\n"
    b'Content-Disposition: form-data; name="file"; filename="IMG_0012.JPG"\r\n'
    b"Content-Type: application/octet-stream\r\n"
    b"\r\n" + JPEG + b"\r\n"
)
REACT_END = b"--%(boundary)b--\r\n"


@pytest.mark.parametrize(
    ("head", "content_type", "boundary"),
    [
        pytest.param(ANDROID, b"multipart/form-data; boundary=", b"RNFetchBlob-1507120413", id="android"),
        pytest.param(ANDROID, b"multipart/form-data; boundary=", b"RNFetchBlob-8k1nvz02qxm8d1w3f0k7p2", id="task"),
        pytest.param(IOS, b"multipart/form-data; charset=utf-8; boundary=", b"RNFetchBlob-1359872304", id="ios"),
        pytest.param(IOS, b"multipart/form-data; charset=utf-8; boundary=", b"RNFetchBlob536876032", id="no-dash"),
        pytest.param(
            IOS_EXPECTING, b"multipart/form-data; charset=utf-8; boundary=", b"RNFetchBlob-1359872304", id="expect"
        ),
    ],
)
@pytest.mark.parametrize(
    ("parts", "text", "files"),
    [
        pytest.param(REACT_TEXT, {"name": "Zoë & co"}, [], id="text"),
        pytest.param(REACT_FILE, {}, [("file", "IMG_0012.JPG", OCTETS, JPEG)], id="file"),
        pytest.param(
            REACT_TEXT + REACT_FILE, {"name": "Zoë & co"}, [("file", "IMG_0012.JPG", OCTETS, JPEG)], id="both"
        ),
        pytest.param(REACT_TEXT + REACT_TEXT, {"name": ["Zoë & co", "Zoë & co"]}, [], id="repeated"),
        pytest.param(b"", {}, [], id="nothing"),
    ],
)
def test_react_native_sends_everything_as_multipart(recorder, head, content_type, boundary, parts, text, files):
    body = (parts + REACT_END) % {b"boundary": boundary}
    assert received(recorder, post(head, content_type + boundary, body)) == (text, files)


@pytest.mark.parametrize("head", [JAVA, ANDROID, IOS], ids=["java", "android", "ios"])
def test_a_file_goes_out_as_it_is_to_clients_that_would_take_it_compressed(serve, tmp_path, head):
    picture = tmp_path / "reply.jpg"
    picture.write_bytes(JPEG)
    answer_head, body = exchange(serve(lambda text, data: file_return(picture)), post(head, URLENCODED, b"name=Rex"))
    assert_readable(answer_head, b"image/jpeg")
    assert body == JPEG


# ESP8266: HTTPClient of its Arduino core, and a sketch that escapes nothing.

ESP8266 = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"User-Agent: ESP8266HTTPClient\r\n"
    b"Connection: close\r\n"
    b"Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Content-Length: %(length)d\r\n"
    b"\r\n"
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"name=Rex&n=3", {"name": "Rex", "n": "3"}, id="plain"),
        pytest.param(b"note=it is warm &place=the  shed", {"note": "it is warm ", "place": "the  shed"}, id="spaces"),
        pytest.param("name=Zoë&temp=21°&ü=日本".encode(), {"name": "Zoë", "temp": "21°", "ü": "日本"}, id="utf-8"),
        pytest.param(b"wet=47%&dry=53 % or so", {"wet": "47%", "dry": "53 % or so"}, id="percent"),
        pytest.param("sky=100%é&end=%".encode(), {"sky": "100%é", "end": "%"}, id="percent-utf-8"),
        pytest.param(b"half=%4&none=%zz&whole=%41", {"half": "%4", "none": "%zz", "whole": "A"}, id="no-escape"),
        pytest.param(b"sum=1=1;2?/:@\"'<>{}[]|\\^`#", {"sum": "1=1;2?/:@\"'<>{}[]|\\^`#"}, id="punctuation"),
        pytest.param(b"log=one\ntwo\r\n", {"log": "one\ntwo\r\n"}, id="lines"),
        pytest.param(b"t=20&t=21&t=", {"t": ["20", "21", ""]}, id="repeated"),
    ],
)
def test_esp8266_escapes_nothing_and_is_understood(recorder, body, text):
    assert received(recorder, post(ESP8266, URLENCODED, body)) == (text, [])


@pytest.mark.parametrize("said", ["on", "it is warm", "47 %; 1/2 <b>", ""])
def test_esp8266_finds_a_returned_string_between_the_first_two_quotes(serve, said):
    head, body = exchange(serve(lambda text, data: said), post(ESP8266, URLENCODED, b"name=Rex"))
    assert_readable(head)
    assert body.split(b'"')[1] == said.encode()


# curl, byte for byte, then the program itself.

CURL = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"User-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\n"
    b"Content-Length: %(length)d\r\n"
    b"Content-Type: %(type)b\r\n"
    b"\r\n"
)
CURL_OWN_TYPE = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"User-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Content-Length: %(length)d\r\n"
    b"\r\n"
)
CURL_EXPECTING = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"User-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Expect: 100-continue\r\n"
    b"Content-Length: %(length)d\r\n"
    b"\r\n"
)
CURL_JSON = (
    b"POST / HTTP/1.1\r\n"
    b"Host: 127.0.0.1:5020\r\n"
    b"User-Agent: curl/7.88.1\r\n"
    b"Content-Type: %(type)b\r\n"
    b"Accept: application/json\r\n"
    b"Content-Length: %(length)d\r\n"
    b"\r\n"
)
CURL_MULTIPART = b"multipart/form-data; boundary=------------------------9291894ddfdabb54"
CURL_TEXT = (
    b'--------------------------9291894ddfdabb54\r\nContent-Disposition: form-data; name="name"\r\n\r\nZo\xc3\xab\r\n'
)
CURL_OBJECT = (
    b"--------------------------9291894ddfdabb54\r\n"
    b'Content-Disposition: form-data; name="meta"\r\n'
    b"Content-Type: application/json\r\n"
    b"\r\n"
    b'{"a":[1,null]}\r\n'
)
CURL_PHOTO = (
    b"--------------------------9291894ddfdabb54\r\n"
    b'Content-Disposition: form-data; name="photo"; filename="rex.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n"
    b"\r\n" + JPEG + b"\r\n"
)
CURL_TABLE = (
    b"--------------------------9291894ddfdabb54\r\n"
    b'Content-Disposition: form-data; name="table"; filename="dogs.csv"\r\n'
    b"Content-Type: application/octet-stream\r\n"
    b"\r\n"
    b"id,dog\r\n1,R\xc3\xbcpel\r\n"
    b"\r\n"
)
CURL_END = b"--------------------------9291894ddfdabb54--\r\n"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            b"name=Zo\xc3\xab&note=a b&tag=x&tag=y", {"name": "Zoë", "note": "a b", "tag": ["x", "y"]}, id="data"
        ),
        pytest.param(b"name=Zo%C3%AB+%26+co&pct=100%25", {"name": "Zoë & co", "pct": "100%"}, id="data-urlencode"),
        pytest.param(b"", {}, id="empty"),
    ],
)
def test_curl_data_is_text(recorder, body, text):
    assert received(recorder, post(CURL, URLENCODED, body)) == (text, [])


def test_curl_post_without_a_body_declares_no_length_and_is_empty(recorder):
    request = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:5020\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
    assert received(recorder, request) == ({}, [])


@pytest.mark.parametrize(
    ("parts", "text", "files"),
    [
        pytest.param(CURL_TEXT + CURL_TEXT, {"name": ["Zoë", "Zoë"]}, [], id="text"),
        pytest.param(
            CURL_PHOTO + CURL_TEXT + CURL_TABLE,
            {"name": "Zoë"},
            [
                ("photo", "rex.jpg", "image/jpeg", JPEG),
                ("table", "dogs.csv", OCTETS, "id,dog\r\n1,Rüpel\r\n".encode()),
            ],
            id="files",
        ),
        pytest.param(
            CURL_OBJECT + CURL_PHOTO,
            {"meta": {"a": [1, None]}},
            [("photo", "rex.jpg", "image/jpeg", JPEG)],
            id="object",
        ),
    ],
)
def test_curl_form_is_text_and_files(recorder, parts, text, files):
    assert received(recorder, post(CURL, CURL_MULTIPART, parts + CURL_END)) == (text, files)


@pytest.mark.parametrize("sent", [b"a %22b%22.jpg", b'a \\"b\\".jpg'], ids=["7.81", "before"])
def test_curl_form_writes_quotes_in_a_filename_in_two_ways_by_its_age(recorder, sent):
    body = CURL_PHOTO.replace(b"rex.jpg", sent) + CURL_END
    assert received(recorder, post(CURL, CURL_MULTIPART, body)) == ({}, [("photo", 'a "b".jpg', "image/jpeg", JPEG)])


def test_curl_json_is_text_with_nested_values(recorder):
    body = '{"name": "Zoë", "tags": ["a", {"b": null}]}'.encode()
    assert received(recorder, post(CURL_JSON, b"application/json", body)) == (
        {"name": "Zoë", "tags": ["a", {"b": None}]},
        [],
    )


@pytest.mark.parametrize("head", [CURL_OWN_TYPE, CURL_EXPECTING], ids=["at-once", "when-asked"])
def test_curl_data_binary_is_one_file_without_a_name(recorder, head):
    assert received(recorder, post(head, b"image/jpeg", JPEG)) == ({}, [("", "", "image/jpeg", JPEG)])


def test_curl_data_binary_in_chunks_is_one_file(recorder):
    request = (
        b"POST / HTTP/1.1\r\n"
        b"Host: 127.0.0.1:5020\r\n"
        b"User-Agent: curl/7.88.1\r\n"
        b"Accept: */*\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Content-Type: image/jpeg\r\n"
        b"\r\n"
        b"5\r\n\xff\xd8\xff\xe0\x00\r\n"
        b"a\r\n\r\n--\r\n\r\n\xff\xd9\r\n"
        b"0\r\n"
        b"\r\n"
    )
    expected = b"\xff\xd8\xff\xe0\x00\r\n--\r\n\r\n\xff\xd9"
    assert received(recorder, request) == ({}, [("", "", "image/jpeg", expected)])


@pytest.mark.parametrize("head", [CURL_EXPECTING, IOS_EXPECTING], ids=["curl", "ios"])
def test_a_client_that_expects_100_continue_but_does_not_wait_is_answered(recorder, head):
    answer = recorder.raw(post(head, b"image/jpeg", JPEG))
    assert (answer.status, answer.json) == (200, {"status": "yes"})
    assert recorder.calls == [({}, [("", "", "image/jpeg", JPEG)])]


@pytest.fixture
def curl(recorder):
    """Run the real curl against the recorder; tells whether it was asked to continue."""
    program = shutil.which("curl")
    assert program, "the tests need curl"

    def run(*arguments):
        command = [program, "--disable", "--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "60"]
        command += [*arguments, f"http://127.0.0.1:{recorder.port}/"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=90)
        final = done.stdout.removeprefix(CONTINUE)
        head, body = read_answer(io.BytesIO(final))
        assert_readable(head)
        assert json.loads(body) == {"status": "yes"}
        return final != done.stdout

    return run


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-d", "name=Rex", "-d", "note=a b", "-d", "pct=100%"], {"name": "Rex", "note": "a b", "pct": "100%"}),
        (["-d", "tag=x", "-d", "tag=y"], {"tag": ["x", "y"]}),
        (["--data-urlencode", "name=R&D = 100%"], {"name": "R&D = 100%"}),
        (["-F", "name=Rex", "-F", "tag=x", "-F", "tag=y"], {"name": "Rex", "tag": ["x", "y"]}),
        (["-F", 'meta={"a": [1]};type=application/json'], {"meta": {"a": [1]}}),
        (["--json", '{"name": "Rex", "tags": ["a", {"b": null}]}'], {"name": "Rex", "tags": ["a", {"b": None}]}),
        (["-X", "POST"], {}),
    ],
    ids=["data", "repeated", "data-urlencode", "form", "object", "json", "nothing"],
)
def test_the_real_curl_sends_text(recorder, curl, arguments, text):
    curl(*arguments)
    assert recorder.calls == [(text, [])]


def test_the_real_curl_sends_text_and_files_in_one_form(recorder, curl, photo):
    curl("-F", f"photo=@{photo}", "-F", "name=Rex", "-F", f'copy=@{photo};type=image/x-own;filename="a \\"b\\".jpg"')
    files = [("photo", "rex.jpg", "image/jpeg", JPEG), ("copy", 'a "b".jpg', "image/x-own", JPEG)]
    assert recorder.calls == [({"name": "Rex"}, files)]


@pytest.mark.parametrize("more", [[], ["-H", "Transfer-Encoding: chunked"]], ids=["length", "chunked"])
def test_the_real_curl_sends_a_body_that_is_a_file(recorder, curl, photo, more):
    curl("--data-binary", f"@{photo}", "-H", "Content-Type: image/jpeg", *more)
    assert recorder.calls == [({}, [("", "", "image/jpeg", JPEG)])]


def test_the_real_curl_is_told_to_continue_before_it_sends_the_body(recorder, curl, photo):
    """It would send the body by itself after the timeout, without having been told."""
    assert curl("-F", f"file=@{photo}", "-H", "Expect: 100-continue", "--expect100-timeout", "50")
    assert recorder.calls == [({}, [("file", "rex.jpg", "image/jpeg", JPEG)])]


def test_the_real_curl_sends_a_file_of_many_blocks(recorder, curl, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(JPEG * 50_000)
    curl("-F", "name=Rex", "-F", f"file=@{big}")
    ((text, [(name, filename, content_type, content)]),) = recorder.calls
    assert (text, name, filename, content_type) == ({"name": "Rex"}, "file", "big.bin", OCTETS)
    assert content == big.read_bytes()
