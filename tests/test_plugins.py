"""Plugins: how they are found, checked, put in order and blamed."""

from __future__ import annotations

import importlib
import io
import pickle
import reprlib
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from izzati import Backend, Claims, Codec, OptionError, PluginError, Route, Storage, file_return, hookimpl, hookspecs
from izzati.builtin.browsers import Browsers
from izzati.builtin.json import JSON

ROOT = Path(__file__).parent.parent


SERVING = ("izzati_serve", "izzati_background")


def nothing(text, data):
    return {}


class TestOrder:
    @pytest.fixture
    def asked(self, serve):
        class Asked:
            def __init__(self, name):
                self.name = name

            @hookimpl
            def izzati_call(self, call):
                order.append(self.name)

        class Another(Asked):
            pass

        order: list[str] = []
        served = serve(lambda text, data: order.append("callback"), plugins=[Asked("first"), Another("second")])
        served.request()
        return order

    def test_given_plugins_are_asked_as_listed_and_the_built_in_ones_last(self, asked):
        assert asked == ["first", "second", "callback"]

    def test_one_that_answers_ends_the_asking(self, serve):
        class Answers:
            @hookimpl
            def izzati_call(self, call):
                return ""

        served = serve(lambda text, data: pytest.fail("not reached"), plugins=[Answers()])
        assert served.request().json == ""

    def test_the_built_in_ones_come_in_a_fixed_order(self):
        assert list(Backend(nothing).plugins.by_name) == [
            *[
                "forms",
                "json",
                "documents",
                "raw_body",
                "spool",
                "callback",
                "replies",
                "browsers",
                "health",
                "logs",
                "server",
                "processes",
            ]
        ]


class TestChoice:
    def test_any_built_in_can_be_blocked(self, serve):
        served = serve(nothing, block=["forms"])
        assert served.request("a=1", {"Content-Type": "application/x-www-form-urlencoded"}).status == 200
        assert served.request("x", {"Content-Type": "multipart/form-data; boundary=b"}).status == 415
        assert "nosniff" not in serve(nothing, block=["browsers"]).request().headers.values()

    def test_a_given_plugin_takes_the_place_of_the_built_in_one_of_its_class(self):
        mine = Browsers(allow_origins="*")
        backend = Backend(nothing, plugins=[mine])
        assert backend.plugins.by_name["browsers"] is mine

    def test_a_built_in_one_that_is_given_reaches_a_server_in_a_process_of_its_own(self):
        backend = pickle.loads(pickle.dumps(Backend(nothing, plugins=[Browsers(allow_origins="*")])))
        assert isinstance(backend.plugins.by_name["browsers"], Browsers)

    def test_two_backends_share_no_state(self, serve):
        class Marks:
            @hookimpl
            def izzati_finalize(self, response, request):
                response.headers["X-Marked"] = "yes"

        marked, plain = serve(nothing, plugins=[Marks()]), serve(nothing)
        assert marked.request().headers["X-Marked"] == "yes"
        assert plain.request().headers["X-Marked"] is None

    def test_without_any_codec_nothing_can_be_answered_but_files(self, serve, caplog):
        served = serve({"/": nothing, "/bytes": lambda text, data: b"x"}, block=["json"])
        assert served.request().status == 500
        assert "no plugin writes any media type" in caplog.text
        assert served.request(path="/bytes").body == b"x"


class TestFaults:
    """Each is an error when the Backend is made, with the cure."""

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ("@hookimpl\n    def izzati_finalise(self): 0", "no hook; did you mean 'izzati_finalize'?"),
            ("def izzati_read(self, request): pass", "izzati_read is not marked: put @izzati.hookimpl above it"),
            ("@hookimpl\n    async def izzati_read(self, request): pass", "izzati_read is async"),
            (
                "@hookimpl\n    def izzati_read(self, requests): pass",
                "'requests'; did you mean 'request'?",
            ),
            ("@hookimpl\n    def izzati_claims(self, x): pass", "no parameter 'x'; it has none"),
            ("@hookimpl\n    def izzati_read(self, *, request): pass", "write request without a star"),
            ("@hookimpl\n    def izzati_read(self, **kwargs): pass", "write kwargs without a star"),
            ("def other(self): pass", "it implements no hook"),
            ("@hookimpl\n    def izzati_identify(self): yield 1", "izzati_identify has a yield, so it would never run"),
            ("@hookimpl(wrapper=True)\n    def izzati_call(self): 0", "marked as a wrapper and has no yield"),
            (
                "@hookimpl(hookwrapper=True)\n    def izzati_call(self): yield",
                "pluggy's old way: write @hookimpl(wrapper",
            ),
        ],
    )
    def test_a_wrong_hook(self, body, sentence):
        namespace = {"hookimpl": hookimpl}
        exec(f"class Wrong:\n    {body}", namespace)
        with pytest.raises(PluginError) as caught:
            Backend(nothing, plugins=[namespace["Wrong"]()])
        assert sentence in str(caught.value)
        assert "plugin 'Wrong', given to the Backend" in str(caught.value)

    def test_all_that_is_wrong_is_told_at_once(self):
        class One:
            @hookimpl
            def izzati_raed(self, request):
                pass

        class Two:
            def izzati_call(self, call):
                pass

        with pytest.raises(PluginError) as caught:
            Backend(nothing, plugins=[One(), Two()], block=["jsn"])
        assert "izzati_raed" in str(caught.value)
        assert "izzati_call is not marked" in str(caught.value)
        assert "block='jsn': there is no such plugin; did you mean 'json'?" in str(caught.value)

    def test_a_class_in_place_of_an_object(self):
        with pytest.raises(PluginError, match=r"it is a class; give an instance: Browsers\(\)"):
            Backend(nothing, plugins=[Browsers])

    def test_a_single_name_may_be_blocked_without_a_list(self):
        assert "browsers" not in Backend(nothing, block="browsers").plugins.by_name

    def test_one_given_twice(self):
        with pytest.raises(PluginError, match="'browsers', given to the Backend: it is given twice, or another"):
            Backend(nothing, plugins=[Browsers(), Browsers()])
        with pytest.raises(PluginError, match="'browsers', given to the Backend: it is blocked as well"):
            Backend(nothing, plugins=[Browsers()], block=["browsers"])

    def test_an_unknown_option(self):
        with pytest.raises(
            OptionError, match=r"'foldr' [(]from the program[)]; it has folder, memory; did you mean 'folder'"
        ):
            Backend(nothing, options={"spool": {"foldr": "/tmp"}})
        with pytest.raises(OptionError, match="no such plugin; did you mean 'spool'"):
            Backend(nothing, options={"spol": {}})
        with pytest.raises(OptionError, match="'browsers', given to the Backend: options were given as well"):
            Backend(nothing, plugins=[Browsers()], options={"browsers": {}})

    def test_an_option_that_its_plugin_refuses(self):
        with pytest.raises(PluginError, match="'spool': ValueError: spool: folder='/no/such' is not a folder"):
            Backend(nothing, options={"spool": {"folder": "/no/such"}})


class TestClaims:
    class Mine(Codec):
        reads = writes = ("application/json",)

        def decode(self, body, request):
            return {"mine": body.decode()}

        def encode(self, value, media_type):
            return b"mine"

    def test_two_plugins_with_one_claim_are_refused_by_name(self):
        with pytest.raises(PluginError) as caught:
            Backend(nothing, plugins=[self.Mine()])
        assert "'Mine' and 'json' both claim the media type to read 'application/json'" in str(caught.value)
        assert "and the media type to write" in str(caught.value)

    def test_one_may_say_that_it_replaces_the_other(self, serve):
        class Replacing(self.Mine):
            replaces = ("json",)

        served = serve(lambda text, data: text, plugins=[Replacing()])
        assert served.backend.codecs.readers["application/json"] == "Replacing"
        assert served.backend.codecs.readers["*+json"] == "json"
        assert served.request(b"x", {"Content-Type": "application/json"}).body == b"mine"

    def test_a_later_plugin_may_replace_an_earlier_one(self):
        class First(Storage):
            schemes = ("s3",)

        class Second:
            @hookimpl
            def izzati_claims(self):
                return Claims(schemes=("s3",), replaces=("First",))

        Backend(nothing, plugins=[First(), Second()])
        with pytest.raises(PluginError, match="location scheme 's3'"):
            Backend(nothing, plugins=[First(), type("Other", (First,), {})()])

    def test_a_plugin_of_another_ones_name_does_not_take_its_place(self):
        other = type("spool", (Browsers,), {})()
        with pytest.raises(PluginError, match="'spool', given to the Backend: plugin 'spool' has the same name"):
            Backend(nothing, plugins=[other])
        assert Backend(nothing, plugins=[other], block=["spool", "browsers"]).plugins.by_name["spool"] is other

    def test_a_name_in_place_of_an_object(self):
        with pytest.raises(PluginError, match="'spool' is no object; installed plugins need not be given"):
            Backend(nothing, plugins=["spool"])

    @pytest.mark.parametrize(
        ("routes", "told"),
        [
            (lambda: 1 / 0, "izzati_routes of the plugin 'Odd' failed: ZeroDivisionError"),
            (lambda: 5, "izzati_routes of the plugin 'Odd' gave 5; it must give a list of izzati.Route"),
            (lambda: ["/x"], r"gave \['/x'\]; it must give a list of izzati.Route"),
            (lambda: (1 / each for each in [0]), "izzati_routes of the plugin 'Odd' failed: ZeroDivisionError"),
        ],
    )
    def test_routes_that_make_no_sense_are_told(self, routes, told):
        class Odd:
            @hookimpl
            def izzati_routes(self):
                return routes()

        with pytest.raises(PluginError, match=told):
            Backend(nothing, plugins=[Odd()])

    @pytest.mark.parametrize(
        ("claims", "told"),
        [
            (
                lambda: None,
                "plugin 'Odd', given to the Backend: izzati_claims gives None, and must give an izzati.Claims",
            ),
            (lambda: {"reads": ()}, "izzati_claims gives {'reads': ()}"),
            (lambda: Claims(reads="text/x"), "Claims(reads=…) takes a tuple of text, such as ('…',), not 'text/x'"),
            (lambda: Claims(schemes=(b"s3",)), "Claims(schemes=…) takes a tuple of text"),
            (lambda: Claims(writes=3), "plugin 'Odd', given to the Backend: TypeError"),
            (lambda: 1 / 0, "plugin 'Odd', given to the Backend: ZeroDivisionError"),
            (lambda: sys.exit(3), "plugin 'Odd', given to the Backend: SystemExit: 3"),
        ],
    )
    def test_claims_that_make_no_sense_are_told(self, claims, told):
        class Odd:
            @hookimpl
            def izzati_claims(self):
                return claims()

        with pytest.raises(PluginError) as caught:
            Backend(nothing, plugins=[Odd()])
        assert told in str(caught.value)


class TestBlame:
    def test_the_log_names_the_plugin_and_hook_that_raised(self, serve, caplog):
        class Faulty(Codec):
            reads = ("text/x-faulty",)

            def decode(self, body, request):
                raise KeyError("x")

        served = serve(nothing, plugins=[Faulty()])
        assert served.request(b"x", {"Content-Type": "text/x-faulty"}).status == 500
        assert "failed in izzati_decode of the plugin 'Faulty'" in caplog.text

    @pytest.mark.parametrize(
        ("hook", "answer", "must"),
        [
            ("izzati_admit", True, "a Werkzeug Response"),
            ("izzati_identify", "ann", "an izzati.Identity"),
            ("izzati_read", {}, "an izzati.Content"),
            ("izzati_store", io.BytesIO(), "an izzati.Sink"),
            ("izzati_render", "text", "a Werkzeug Response"),
            ("izzati_encode", "{}", "bytes"),
            ("izzati_error", "sorry", "a Werkzeug Response"),
        ],
    )
    def test_a_wrong_answer_is_blamed_on_who_gave_it(self, serve, caplog, hook, answer, must):
        @hookimpl(specname=hook, tryfirst=True)
        def wrong(self):
            return answer

        @hookimpl(specname=hook, wrapper=True)
        def wrap(self):
            yield
            return answer

        for body in ({"wrong": wrong}, {"wrap": wrap}):
            caplog.clear()
            served = serve(lambda text, data: 1 / 0 if text else {}, plugins=[type("Odd", (), body)()])
            path = "/?fail=1" if hook == "izzati_error" else "/"
            assert served.request(b"x", {"Content-Type": "image/png"}, path=path).status == 500
            given = f"{hook} of the plugin 'Odd' gave {reprlib.repr(answer)}; it must give {must}, or None to decline"
            assert given in caplog.text
            assert hook == "izzati_error" or f"failed in {hook} of the plugin 'Odd'" in caplog.text

    @pytest.mark.parametrize(
        ("hook", "answer", "must"),
        [
            ("izzati_open", b"x", "an izzati.StoredFile"),
            ("izzati_save", 5, "text, the location of the file"),
        ],
    )
    def test_so_is_one_that_a_callback_has_asked_for(self, serve, caplog, hook, answer, must):
        odd = type("Odd", (), {hook: hookimpl(lambda self: answer, specname=hook)})()
        callback = (lambda t, d: file_return("x")) if hook == "izzati_open" else (lambda t, d: d[0].save("x"))
        assert serve(callback, plugins=[odd]).request(b"x", {"Content-Type": "image/png"}).status == 500
        assert f"{hook} of the plugin 'Odd' gave {answer!r}; it must give {must}" in caplog.text

    def test_so_are_a_server_that_is_none_and_handles_that_are_no_pair(self):
        odd = type("Odd", (), {name: hookimpl(lambda self: 5, specname=name) for name in SERVING})()
        with pytest.raises(
            PluginError, match=r"izzati_serve of the plugin 'Odd' gave 5; it must give an izzati.Server"
        ):
            Backend(nothing, plugins=[odd]).listen("127.0.0.1", 0)
        with pytest.raises(PluginError, match="izzati_background of the plugin 'Odd' gave 5; it must give a pair"):
            Backend(lambda q, text, data: {}, background=True, plugins=[odd]).run("127.0.0.1", 0)

    def test_what_a_plugin_puts_around_a_server_is_one(self, serve):
        class Around:
            def __init__(self, server):
                self.server = server

            def __getattr__(self, name):
                return getattr(self.server, name)

        class Wraps:
            @hookimpl(wrapper=True)
            def izzati_serve(self):
                return Around((yield))

        served = serve(nothing, plugins=[Wraps()])
        assert type(served.server) is Around
        assert served.request().status == 200

    def test_what_wraps_the_routes_of_all_may_change_them(self, serve):
        class Doubles:
            @hookimpl(wrapper=True)
            def izzati_routes(self):
                given = yield
                return [*given, [Route(f"/also{route.path}", route.handler) for its in given for route in its]]

        assert serve(nothing, plugins=[Doubles()]).request(path="/also/healthz", method="GET").status == 200

    def test_a_hook_under_a_name_of_its_own_is_known_by_the_hooks_name(self, serve, caplog):
        class Named:
            @hookimpl(specname="izzati_claims")
            def mine(self):
                return Claims(reads=("text/x-named",))

            @hookimpl(specname="izzati_decode")
            def turn(self, body):
                raise KeyError(body)

        served = serve(nothing, plugins=[Named()])
        record = served.backend.plugins.records[0]
        assert (record.hooks, record.claims.reads) == (["izzati_claims", "izzati_decode"], ("text/x-named",))
        assert served.request(b"x", {"Content-Type": "text/x-named"}).status == 500
        assert "failed in izzati_decode of the plugin 'Named'" in caplog.text

    def test_a_parameter_with_a_default_is_given_like_any_other(self, serve):
        class Optional:
            @hookimpl
            def izzati_finalize(self, response, request=None):
                response.headers["X-Method"] = request.method

        assert serve(nothing, plugins=[Optional()]).request().headers["X-Method"] == "POST"

    def test_a_callbacks_defect_is_not_blamed_on_the_plugin_that_called_it(self, serve, caplog):
        assert serve(lambda text, data: 1 / 0).request().status == 500
        assert "failed in the callback" in caplog.text

    def test_a_codec_that_forgot_a_half_says_which(self, serve, caplog):
        class Half(Codec):
            reads = writes = ("text/x-half",)

        served = serve(nothing, plugins=[Half()])
        assert served.request(b"x", {"Content-Type": "text/x-half"}).status == 500
        assert "has no decode()" in caplog.text
        assert served.request(headers={"Accept": "text/x-half"}).status == 500
        assert "has no encode()" in caplog.text

    def test_a_storage_that_forgot_a_half_says_which(self, serve, caplog):
        class Half(Storage):
            schemes = ("half",)

        callbacks = {"/save": lambda t, d: d[0].save("half://x"), "/open": lambda t, d: file_return("half://x")}
        served = serve(callbacks, plugins=[Half()])
        assert served.request(b"x", {"Content-Type": "image/png"}, path="/save").status == 500
        assert "Half does not save files" in caplog.text
        assert served.request(path="/open").status == 500
        assert "Half does not open files" in caplog.text


INSTALLED = {
    "izzati_greet.py": """
import izzati

class Greet:
    def __init__(self, word="hello"):
        self.word = word

    @izzati.hookimpl
    def izzati_finalize(self, response, request):
        response.headers["X-Greet"] = self.word
""",
    "izzati_module.py": """
import izzati

@izzati.hookimpl
def izzati_finalize(response, request):
    response.headers["X-Module"] = "yes"
""",
    "izzati_broken.py": "import no_such_module_anywhere",
    "izzati_far.py": """
import izzati

class Far:
    @izzati.hookimpl
    def izzati_background(self, target, options):
        if "local_please" in options.resources:
            return None
        return target.__name__, (options.name, options.maxsize, dict(options.resources))

class Fussy:
    def __init__(self):
        raise ValueError("not configured")

    @izzati.hookimpl
    def izzati_admit(self, request):
        pass
""",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment in which distributions with entry points are installed; ``installed(code)`` runs code in it."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", system_site_packages=True)
    site = next((home / "venv").glob("**/site-packages"))
    # What this very process imports, so that the tests need not install it anew.
    (site / "parent.pth").write_text("\n".join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))]))
    for name, code in INSTALLED.items():
        (site / name).write_text(code)

    def distribution(name, entry):
        info = site / f"{name.replace('-', '_')}-1.5.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[izzati]\n{entry}\n" if entry else "")

    def run(code, **entries):
        for name in ("greet", "module", "broken"):
            distribution(f"izzati-{name}", entries.get(name, ""))
        python = home / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        program = (
            "from izzati import *\nfrom werkzeug.test import Client\n"
            "def answer(**k): return Client(Backend(lambda t, d: {}, **k)).post('/').headers\n" + code
        )
        return subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    return run


class TestInstalled:
    def test_an_entry_point_is_all_it_takes(self, installed):
        code = "print(answer()['X-Greet'], answer()['X-Module'])"
        done = installed(code, greet="greet = izzati_greet:Greet", module="module = izzati_module")
        assert done.stdout == "hello yes\n", done.stderr

    def test_options_reach_its_class_and_it_can_be_blocked(self, installed):
        code = (
            "print(answer(options={'greet': {'word': 'hi'}})['X-Greet'])\n"
            "print(answer(block=['greet']).get('X-Greet'))\n"
            "import izzati_greet\n"
            "print(answer(plugins=[izzati_greet.Greet('given')])['X-Greet'])"
        )
        assert installed(code, greet="greet = izzati_greet:Greet").stdout == "hi\nNone\ngiven\n"

    def test_a_broken_one_stops_the_start_and_is_named_with_its_cause(self, installed):
        done = installed("answer()", broken="broken = izzati_broken", greet="greet = izzati_greet:Nope")
        assert done.returncode == 1
        assert "plugin 'broken' (izzati-broken 1.5): ModuleNotFoundError: No module named 'no_such" in done.stderr
        assert "plugin 'greet' (izzati-greet 1.5): AttributeError" in done.stderr

    def test_a_blocked_one_is_not_even_imported(self, installed):
        assert installed("print(len(answer(block=['broken'])))", broken="broken = izzati_broken").returncode == 0

    def test_background_work_without_a_backend_asks_installed_plugins_and_makes_no_others(self, installed):
        code = (
            "def work(q): pass\n"
            "print(background(work, name='x', maxsize=3, num_gpus=1))\n"
            "print(background(work, local_please=True)[0].join())"
        )
        done = installed(code, greet="far = izzati_far:Far", module="fussy = izzati_far:Fussy")
        assert done.stdout == "('work', ('x', 3, {'num_gpus': 1}))\nNone\n", done.stderr

    def test_two_distributions_with_one_name_are_refused(self, installed):
        done = installed("answer()", greet="same = izzati_greet:Greet", module="same = izzati_module")
        assert "has the same name" in done.stderr


def test_a_module_can_be_given_as_a_plugin(serve, tmp_path, monkeypatch):
    (tmp_path / "module_plugin.py").write_text(INSTALLED["izzati_module.py"])
    monkeypatch.syspath_prepend(tmp_path)
    served = serve(nothing, plugins=[importlib.import_module("module_plugin")])
    assert served.request().headers["X-Module"] == "yes"
    assert "module_plugin" in served.backend.plugins.by_name


def test_a_plugin_that_uses_what_will_be_retired_is_warned_when_the_backend_is_made(monkeypatch):
    class Late:
        @hookimpl
        def izzati_open(self, location):
            pass

    spec = hookspecs.izzati_open.izzati_spec
    monkeypatch.setitem(spec, "warn_on_impl_args", {"location": DeprecationWarning("use place instead, until 3.0")})
    with pytest.warns(DeprecationWarning, match="use place instead, until 3.0"):
        Backend(nothing, plugins=[Late()], block=["spool"])
    monkeypatch.setitem(spec, "warn_on_impl_args", None)
    monkeypatch.setitem(spec, "warn_on_impl", DeprecationWarning("use izzati_read_file, until 3.0"))
    with pytest.warns(DeprecationWarning, match="use izzati_read_file, until 3.0"):
        Backend(nothing, plugins=[Late()], block=["spool"])


def test_json_is_a_plugin_like_any_other():
    assert isinstance(Backend(nothing).plugins.by_name["json"], JSON)
