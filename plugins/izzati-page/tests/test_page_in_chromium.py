"""What a person does at the page, in a real browser."""

from __future__ import annotations

import io
import re
import threading
import wave

import pytest
from conftest import DESKTOP, PHONE, png
from izzati_page import Page
from playwright.sync_api import expect
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from izzati import Backend, Problem, Reply, file_return, hookimpl

pytestmark = pytest.mark.once


def echo(text, data):
    """Say what arrived.

      Whatever it was.
    And more.
    """
    return {"text": text, "files": [[file.filename, file.content_type, file.size] for file in data]}


def send(page):
    page.click("#send")
    expect(page.locator("#status")).to_contain_text("It took")


def refused(page):
    page.click("#send")
    expect(page.locator("#answer.failed")).to_be_visible()
    return page.locator("#status").inner_text(), page.locator("#result").inner_text()


def fill(page, **fields):
    """Fill fields in, the first of which is there already."""
    for number, (name, value) in enumerate(fields.items()):
        if number:
            page.click("#add")
        row = page.locator("#rows li").nth(number)
        row.get_by_label("Name of the field").fill(name)
        row.get_by_label("Value of the field").fill(value)


def places(page):
    """Where the form and the answer are, at one moment: the page may be scrolling."""
    return page.evaluate("['call', 'answer'].map((id) => document.getElementById(id).getBoundingClientRect().toJSON())")


def write_json(page, source):
    page.get_by_label("JSON", exact=True).check()
    page.fill("#source", source)


def test_a_picture_is_chosen_sent_and_the_answer_seen_on_a_phone_without_a_word_of_http(visit, photo):
    def negative(text, data):
        """Turn a photo into its negative."""
        assert data[0].read() == photo.read_bytes()
        return file_return(png(40, 30, (55, 135, 215)), filename="negative.png")

    page = visit(negative, **PHONE)
    expect(page.locator("#summary")).to_have_text("Turn a photo into its negative")
    page.set_input_files("#files", photo)
    expect(page.locator("#chosen")).to_contain_text("rex.png")
    send(page)
    picture = page.get_by_role("img", name="The answer: negative.png")
    expect(picture).to_be_in_viewport()
    assert picture.evaluate("it => [it.naturalWidth, it.naturalHeight]") == [40, 30]
    seen = page.locator("body").inner_text().lower()
    assert [word for word in ("http", "post", "multipart", "status", "request", "header") if word in seen] == []


def test_on_a_phone_a_tall_picture_is_scrolled_to(visit):
    page = visit(lambda text, data: file_return(png(300, 400, (55, 135, 215)), filename="tall.png"), **PHONE)
    send(page)
    expect(page.get_by_role("img", name="The answer: tall.png")).to_be_in_viewport(ratio=1)


def test_a_picture_that_is_none_is_told(visit):
    page = visit(lambda text, data: file_return(b"no picture", filename="rex.png"))
    send(page)
    expect(page.locator("#result > :first-child")).to_have_text("A picture came back that this browser cannot show.")


def test_the_page_fits_a_phone_and_has_its_camera(visit, photo):
    page = visit({"/": echo, **{f"/function_{number}": echo for number in range(9)}}, **PHONE)
    camera = page.locator("#camera")
    assert camera.evaluate("it => [it.accept, it.getAttribute('capture')]") == ["image/*", "environment"]
    expect(page.get_by_text("Take a photo")).to_be_visible()
    expect(page.get_by_text("or drop them here")).to_be_hidden()
    page.set_input_files("#camera", photo)
    fill(page, text="a word " * 40, another="a" * 400)
    send(page)
    page.click("#program > summary")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#send").bounding_box()["height"] >= 44
    page.evaluate("document.querySelectorAll('#progress, #cancel').forEach((it) => (it.hidden = false))")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    form, answer = places(page)
    assert form["bottom"] < answer["top"]


def test_on_a_desktop_the_answer_is_beside_what_is_sent(visit):
    page = visit(echo)
    expect(page.get_by_text("or drop them here")).to_be_visible()
    expect(page.get_by_text("Take a photo")).to_be_hidden()
    form, answer = places(page)
    assert form["right"] < answer["left"]


def test_files_are_dropped_pasted_and_removed(visit):
    page = visit(echo)
    hand = """([kind, field, names]) => {
        const transfer = new DataTransfer();
        for (const name of names) transfer.items.add(new File(["woof"], name, {type: "text/plain"}));
        const event = new (kind === "paste" ? ClipboardEvent : DragEvent)(kind, {
            [field]: transfer, bubbles: true, cancelable: true});
        document.querySelector("#drop").dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    assert page.evaluate(hand, ["dragover", "dataTransfer", ["x.txt"]])
    expect(page.locator("#drop.over")).to_be_visible()
    assert page.evaluate(hand, ["drop", "dataTransfer", ["a.txt", "b.txt"]])
    expect(page.locator("#drop.over")).to_be_hidden()
    page.evaluate(hand, ["paste", "clipboardData", ["c.txt"]])
    page.get_by_role("button", name="Remove b.txt").click()
    expect(page.locator("#chosen li")).to_have_count(2)
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove c.txt"
    send(page)
    assert [name in page.locator("#result").inner_text() for name in ("a.txt", "b.txt", "c.txt")] == [True, False, True]


def test_fields_of_one_name_are_a_list_and_a_value_without_a_name_is_told(visit):
    arrived = []
    page = visit(lambda text, data: arrived.append(text))
    fill(page, colour="brown", age="3")
    page.click("#add")
    page.locator("#rows li").nth(2).get_by_label("Value of the field").fill("white")
    page.click("#send")
    expect(page.locator("#mistake")).to_have_text("Give the value “white” a name.")
    page.locator("#rows li").nth(2).get_by_label("Name of the field").fill("colour")
    send(page)
    assert arrived == [{"colour": ["brown", "white"], "age": "3"}]


def test_json_is_sent_with_files_and_both_shapes_keep_what_was_written(visit, photo):
    arrived = []
    page = visit(lambda text, data: arrived.append((text, [file.read() for file in data])))
    fill(page, name="Rex")
    page.get_by_label("JSON", exact=True).check()
    expect(page.locator("#source")).to_have_value('{\n  "name": "Rex"\n}')
    page.fill("#source", '{"name": "Rex", "age": 3, "toys": [{"ball": true}, null]}')
    page.get_by_label("Fields", exact=True).click()
    expect(page.locator("#mistake")).to_have_text("Fields hold only text; this has other values.")
    page.set_input_files("#files", photo)
    send(page)
    assert arrived == [({"name": "Rex", "age": 3, "toys": [{"ball": True}, None]}, [photo.read_bytes()])]
    page.fill("#source", '{"name": ["Rex", "Rexy"]}')
    page.get_by_label("Fields", exact=True).click()
    expect(page.locator("#rows li")).to_have_count(2)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('{"a": }', "This is not JSON: "),
        ("[1]", 'Write names and values, such as {"name": "Rex"}.'),
        ('{"a": {"b": 1}, "b": "}", "\\u0061": 2}', 'The name "a" is there twice.'),
    ],
)
def test_what_is_no_json_object_is_told_before_it_is_sent(visit, source, words):
    page = visit(echo)
    write_json(page, source)
    page.click("#send")
    expect(page.locator("#mistake")).to_contain_text(words)
    assert page.evaluate("document.activeElement.id") == "source"


def test_json_is_sent_as_it_is_written(visit, photo):
    arrived = []
    page = visit(lambda text, data: arrived.append((repr(text), len(data))))
    write_json(page, '{"big": 12345678901234567890, "f": [1.0, "1,}]"], "2": "z", "1": -0.0}')
    send(page)
    page.set_input_files("#files", photo)
    send(page)
    text = "{'big': 12345678901234567890, 'f': [1.0, '1,}]'], '2': 'z', '1': -0.0}"
    assert arrived == [(text, 0), (text, 1)]
    page.fill("#source", '{"a": {"b": 1, "b": 2}}')
    assert "the key 'b' more than once" in refused(page)[1]


def test_an_answer_of_values_is_folded_and_keeps_every_digit(visit):
    value = {
        "id": 12345678901234567890,
        "ratio": 1.0,
        "dog": {"name": "Rex", "toys": []},
        "none": None,
        "yes": True,
        "many": list(range(250)),
    }
    page = visit(lambda text, data: value)
    send(page)
    result = page.locator("#result")
    for words in ("12345678901234567890", "1.0", "Rex", "null", "true"):
        expect(result.get_by_text(words, exact=True)).to_be_visible()
    many = result.locator("details", has_text="250 items").last
    assert many.locator("ol").count() == 0
    many.locator("summary").click()
    expect(many.locator("ol > li")).to_have_count(100)
    expect(many.locator(".key").nth(1)).to_have_text("0")
    result.get_by_role("button", name="Show more of 150").click()
    result.get_by_role("button", name="Show more of 50").click()
    expect(many.locator("ol > li")).to_have_count(250)


@pytest.mark.parametrize(
    ("value", "words"), [("hello", "hello"), (3, "3"), ([], "empty"), ("", "empty"), (None, "null")]
)
def test_an_answer_of_one_value_is_that_value(visit, value, words):
    page = visit(lambda text, data: value)
    send(page)
    expect(page.locator("#result > :first-child")).to_have_text(words)


def sound():
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16000))
    return target.getvalue()


def test_sound_is_played(visit):
    page = visit(lambda text, data: file_return(sound(), filename="woof.wav"))
    send(page)
    length = "it => it.duration || new Promise((resolve) => (it.onloadedmetadata = () => resolve(it.duration)))"
    assert page.locator("#result audio").evaluate(length) == 1


def test_text_is_shown_and_more_of_it_than_anyone_reads_is_cut(visit):
    page = visit(lambda text, data: file_return(f"größe <b>{'x' * 300_000}".encode(), filename="notes.txt"))
    send(page)
    shown = page.locator("#result pre.text").inner_text()
    assert shown.startswith("größe <b>xxx")
    assert shown.endswith("… and more: all of it is 293 KiB.")


def test_a_string_longer_than_anyone_reads_is_cut(visit):
    page = visit(lambda text, data: {"long": "größe " * 200_000})
    send(page)
    shown = page.locator("#result .string").inner_text()
    assert shown.startswith("größe größe ")
    assert shown.endswith(" … and more: 1,200,000 characters in all.")
    assert len(shown) < 30_000


def test_a_file_that_no_browser_shows_can_be_saved(visit, tmp_path):
    page = visit(lambda text, data: file_return(b"PK\3\4", filename="größe; a.zip"))
    send(page)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save").click()
    assert saving.value.suggested_filename == "größe; a.zip"
    saving.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == b"PK\3\4"


def test_an_answer_without_anything_is_told(visit):
    page = visit(lambda text, data: Reply(b"", status=204))
    send(page)
    expect(page.locator("#result")).to_have_text("Nothing came back, and nothing went wrong.")


def test_a_refusal_is_told_in_the_functions_words(visit):
    def callback(text, data):
        raise Problem(422, "There is no dog on it.", hint="Try one with a dog.", nearest=["cat"])

    status, result = refused(visit(callback))
    assert status == "Something in this does not fit."
    assert [words in result for words in ("There is no dog on it.", "Try one with a dog.", "nearest", "cat")] == [
        True
    ] * 4


def test_a_failure_is_told_with_what_its_owner_needs(visit):
    page = visit(lambda text, data: 1 / 0)
    status, result = refused(page)
    assert status == "That did not work."
    page.click("#facts > summary")
    facts = page.locator("#facts dl").inner_text()
    assert "500 INTERNAL SERVER ERROR" in facts
    assert page.locator("#facts div", has_text="Request").locator("dd").inner_text() in result


def test_a_server_that_has_gone_is_told(visit):
    page = visit(echo)
    expect(page.locator("#summary")).to_be_visible()
    page.served.stop()
    assert refused(page)[0] == "The server could not be reached."


def test_a_file_that_has_gone_since_it_was_chosen_is_told(visit, photo, tmp_path):
    page = visit(echo)
    other = tmp_path / "other.txt"
    other.touch()
    page.set_input_files("#files", [other, photo])
    photo.unlink()
    status, result = refused(page)
    assert status == "This could not be sent."
    assert result == "rex.png has changed or is gone since it was chosen. Choose it again."


class Slow:
    """Reads nothing of a body before it is told to."""

    def __init__(self):
        self.go = threading.Event()

    @hookimpl
    def izzati_read(self, request):
        assert self.go.wait(20)


@pytest.fixture
def video(tmp_path):
    """More than what lies between a browser and a server that does not read."""
    path = tmp_path / "long.mp4"
    with path.open("wb") as out:
        out.truncate(48_000_000)
    return path


def test_the_progress_of_a_slow_upload_is_seen(visit, video):
    slow = Slow()
    page = visit(echo, plugins=[slow])
    page.set_input_files("#files", video)
    page.click("#send")
    expect(page.locator("#bar")).to_have_attribute("value", re.compile("[1-9]"))
    assert 0 < page.locator("#bar").evaluate("it => it.value") < 100
    expect(page.locator("#sent")).to_contain_text("% of 46 MiB")
    slow.go.set()
    expect(page.locator("#status")).to_contain_text("It took")
    expect(page.locator("#progress")).to_be_hidden()
    assert "48000000" in page.locator("#result").inner_text()


def test_an_upload_is_cancelled_and_another_one_sent(visit, video):
    slow, arrived = Slow(), []
    page = visit(lambda text, data: arrived.append(text), plugins=[slow])
    fill(page, number="1")
    page.set_input_files("#files", video)
    page.focus("#send")
    page.keyboard.press("Enter")
    expect(page.locator("#cancel")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Cancelled.")
    expect(page.locator("#send")).to_be_focused()
    slow.go.set()
    page.get_by_role("button", name="Remove long.mp4").click()
    fill(page, number="2")
    send(page)
    assert arrived == [{"number": "2"}]


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_who_sends_twice_by_mistake_sends_once_and_cancels_nothing(visit, screen):
    go, arrived = threading.Event(), []
    page = visit(lambda text, data: [arrived.append(text), go.wait(20)], **screen)
    place = {"x": page.locator("#send").bounding_box()["width"] * 0.9, "y": 20}
    page.dblclick("#send", position=place)
    expect(page.locator("#send")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text("Sending …")
    go.set()
    expect(page.locator("#status")).to_contain_text("It took")
    expect(page.locator("#cancel")).to_be_hidden()
    assert arrived == [{}]


def test_the_page_is_used_by_keyboard_alone(visit, photo):
    page = visit(echo)

    def tab_to(selector):
        for _ in range(30):
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"the keyboard does not reach {selector}")

    expect(page.locator("#summary")).to_be_visible()
    with page.expect_file_chooser() as choosing:
        tab_to("#files")
        page.keyboard.press("Enter")
    choosing.value.set_files(photo)
    tab_to("[aria-label='Name of the field']")
    page.keyboard.type("name")
    page.keyboard.press("Tab")
    page.keyboard.type("Rex")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("It took")
    assert "rex.png" in page.locator("#result").inner_text()
    tab_to("#program > summary")
    page.keyboard.press("Enter")
    tab_to("[name=language]")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#sample")).to_contain_text("from izzati import Frontend")


def test_several_functions_are_a_menu_whose_choice_is_in_the_address(visit):
    functions = {
        "/": lambda text, data: "first",
        "/dogs/<int:number>/<path:rest>": echo,
        "/größe": lambda text, data: "third",
    }
    page = visit(functions, path="/#/gr%C3%B6%C3%9Fe")
    links = page.get_by_role("navigation").get_by_role("link")
    assert links.all_inner_texts() == ["Send text and files", "Echo", "Größe"]
    expect(links.nth(2)).to_have_attribute("aria-current", "page")
    send(page)
    expect(page.locator("#result > :first-child")).to_have_text("third")
    links.nth(1).click()
    expect(page.locator("#summary")).to_have_text("Say what arrived")
    assert page.locator("#description").inner_text() == "  Whatever it was.\nAnd more."
    page.click("#send")
    assert page.evaluate("document.activeElement.name") == "number"
    page.get_by_label("number").fill("3")
    page.get_by_label("rest").fill("a b/c")
    send(page)
    assert "a b/c" in page.locator("#result").inner_text()
    page.go_back()
    expect(links.nth(2)).to_have_attribute("aria-current", "page")
    page.goto(f"{page.served.url}/#/nowhere")
    expect(page.locator("#trouble")).to_have_text("There is no function at /nowhere. This is the first one.")
    links.nth(1).click()
    expect(page.locator("#trouble")).to_be_hidden()


def test_a_function_whose_path_has_a_percent_sign_is_called_and_found_again(visit):
    functions = {
        "/%7e": lambda text, data: "first",
        "/~": lambda text, data: "second",
        "/100%": lambda text, data: "third",
    }
    page = visit(functions)
    links = page.get_by_role("navigation").get_by_role("link")
    for place, answer in enumerate(("first", "second", "third")):
        links.nth(place).click()
        expect(links.nth(place)).to_have_attribute("aria-current", "page")
        send(page)
        expect(page.locator("#result > :first-child")).to_have_text(answer)
        page.reload()
        expect(links.nth(place)).to_have_attribute("aria-current", "page")


def test_functions_whose_names_do_not_tell_them_apart_are_called_by_their_paths(visit):
    def _(text, data):
        pass

    page = visit({"/dogs": _, "/cats": echo, "/cats/<name>": echo})
    expect(page.locator("#summary")).to_have_text("Dogs")
    links = page.get_by_role("navigation").get_by_role("link")
    assert links.all_inner_texts() == ["Dogs", "/cats", "/cats/{name}"]


def test_a_description_that_cannot_be_read_is_not_a_server_that_cannot_be_reached(visit):
    page = visit(echo)
    page.route("**/openapi.json", lambda route: route.fulfill(json={"paths": {}}))
    page.reload()
    expect(page.locator("#trouble")).to_be_visible()
    expect(page.locator("#trouble")).not_to_contain_text("reached")


def test_one_function_has_no_menu(visit):
    page = visit(echo, page=Page(title="Dog show"))
    expect(page.locator("#summary")).to_be_visible()
    expect(page.locator("#menu")).to_be_hidden()
    assert (page.title(), page.locator("#title").inner_text()) == ("Dog show", "Dog show")
    assert page.request.get(page.served.url + "/favicon.ico").ok


def test_sizes_and_spans_of_time_are_as_people_write_them(visit):
    page = visit(echo)
    words = """import("./izzati-page/dom.js").then(({ size, duration, elapsed }) => [
        ...[1, 1023, 1024, 9_900_000, 1 << 30].map(size), ...[0.25, 9.94, 59.7, 119.7].map(duration), elapsed(3.2)])"""
    assert page.evaluate(words) == [
        *("1 byte", "1023 bytes", "1.0 KiB", "9.4 MiB", "1.0 GiB"),
        *("0.25 seconds", "9.9 seconds", "1 min 0 s", "2 min 0 s", "3 s"),
    ]


def test_at_night_the_page_is_dark(visit):
    def brightness(scheme):
        page = visit(echo, color_scheme=scheme)
        return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")

    assert max(brightness("dark")) < 40
    assert min(brightness("light")) > 215


def test_the_page_works_below_a_path_of_another_application(tab, photo):
    backend = Backend({"/photo": echo}, plugins=[Page()], only=[])
    application = DispatcherMiddleware(NotFound(), {"/show/dogs": backend})
    server = make_server("127.0.0.1", 0, application, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        page = tab()
        page.goto(f"http://127.0.0.1:{server.port}/show/dogs")
        page.set_input_files("#files", photo)
        send(page)
        assert "rex.png" in page.locator("#result").inner_text()
        page.click("#program > summary")
        expect(page.locator("#sample")).to_contain_text(f"http://127.0.0.1:{server.port}/show/dogs/photo")
        page.get_by_label("JavaScript").check()
        expect(page.locator("#sample")).to_contain_text(f'from "http://127.0.0.1:{server.port}/show/dogs/izzati.js"')
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_another_function_is_turned_to_while_one_answers(visit):
    go = threading.Event()
    page = visit({"/": lambda text, data: go.wait(20), "/b": lambda text, data: "second"})
    page.click("#send")
    expect(page.locator("#cancel")).to_be_visible()
    page.get_by_role("link", name="B", exact=True).click()
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("It appears here.")
    go.set()
    send(page)
    expect(page.locator("#result > :first-child")).to_have_text("second")
