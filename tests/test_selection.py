"""Which plugins a Backend uses: block, only, require, order, strict."""

from __future__ import annotations

import logging

import pytest

from izzati import Backend, Codec, Identity, PluginError, Storage, background, hookimpl

pytestmark = pytest.mark.usefixtures("nowhere")


def nothing(text, data):
    return {}


def says(name):
    """A plugin's class that adds its name to the answer."""

    class Says:
        @hookimpl
        def izzati_finalize(self, response):
            response.headers.add("X-Said", name)

    return Says


def said(served, **request):
    return served.request(**request).headers.get_all("X-Said") or []


@pytest.fixture
def two(install):
    """Two installed plugins, ``one`` and ``two``."""
    install(says("two"), "two")
    install(says("one"), "one")


def state(backend, name):
    return next(record.state for record in backend.plugins.records if record.name == name)


class TestOnlyAndBlock:
    @pytest.mark.usefixtures("two")
    def test_of_installed_plugins_only_those_named_are_used(self, serve):
        assert said(serve(nothing, only=["one"])) == ["one"]
        assert said(serve(nothing, only=())) == []
        assert said(serve(nothing, only="two")) == ["two"]
        assert sorted(said(serve(nothing, only=None))) == ["one", "two"]

    @pytest.mark.usefixtures("two")
    def test_only_leaves_built_in_plugins_and_given_ones_alone(self, serve):
        served = serve(nothing, only=["one"], plugins=[says("given")()])
        assert sorted(said(served)) == ["given", "one"]
        assert served.request(b"{}", {"Content-Type": "application/json"}).status == 200

    @pytest.mark.usefixtures("two")
    def test_the_environment_and_the_file_block_too(self, serve, nowhere, monkeypatch):
        monkeypatch.setenv("IZZATI_BLOCK", "one, browsers")
        assert said(serve(nothing)) == ["two"]
        (nowhere / "izzati.toml").write_text('block = ["two"]\n')
        served = serve(nothing)
        assert said(served) == []
        assert state(served.backend, "one") == state(served.backend, "browsers") == "blocked"

    @pytest.mark.parametrize("file", ["izzati.toml", "other.toml"])
    def test_a_name_that_no_plugin_has_is_told_with_what_blocks_it(self, nowhere, monkeypatch, file):
        monkeypatch.setenv("IZZATI_BLOCK", "jsn")
        monkeypatch.setenv("IZZATI_CONFIG", file)
        (nowhere / file).write_text('block = ["spol"]\n')
        with pytest.raises(PluginError) as caught:
            Backend(nothing, block=["frms"], only=())
        assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
            "block='frms': there is no such plugin; did you mean 'forms'?",
            f"{file} blocks 'spol': there is no such plugin; did you mean 'spool'?",
            "IZZATI_BLOCK blocks 'jsn': there is no such plugin; did you mean 'json'?",
        ]

    def test_background_work_finds_a_hook_under_a_name_of_its_own(self, install):
        class Named:
            @hookimpl(specname="izzati_background")
            def elsewhere(self, target):
                return target.__name__, "a queue of its own"

        install(Named, "named")
        assert background(lambda q: None)[1] == "a queue of its own"

    def test_background_work_keeps_to_what_is_blocked(self, install, monkeypatch):
        class Elsewhere:
            @hookimpl
            def izzati_background(self, target):
                return target.__name__, "a queue"

        install(Elsewhere, "elsewhere")
        assert background(lambda q: None)[1] == "a queue"

    def test_a_name_that_no_plugin_has_is_told(self):
        with pytest.raises(PluginError) as caught:
            Backend(nothing, block=["spol"], only=["msgpak"], order=["jsn"])
        assert "block='spol': there is no such plugin; did you mean 'spool'?" in str(caught.value)
        assert "only='msgpak': there is no such plugin" in str(caught.value)
        assert "order='jsn': there is no such plugin; did you mean 'json'?" in str(caught.value)


class TestRequire:
    @pytest.mark.usefixtures("two")
    def test_a_backend_does_not_start_without_a_required_plugin(self, serve):
        assert said(serve(nothing, require=["one"], only=["one"])) == ["one"]
        for arguments, why in (
            ({"require": ["nowhere"]}, "require='nowhere': there is no such plugin; install it"),
            ({"require": "one", "block": ["one"]}, "require='one': it is blocked"),
            ({"require": ["one"], "only": ["two"]}, r"require='one': it is not among only=\[…\]"),
            ({"require": ["nowhere"], "strict": False}, "require='nowhere'"),
        ):
            with pytest.raises(PluginError, match=why):
                Backend(nothing, **arguments)

    def test_a_required_plugin_that_is_broken_stops_the_start_even_where_others_may_be_broken(self, install):
        class Broken:
            @hookimpl
            def izzati_finalise(self):
                pass

        install(Broken, "broken")
        with pytest.raises(PluginError, match="require='broken': it is broken"):
            Backend(nothing, require=["broken"], strict=False)


class TestOrder:
    @pytest.fixture
    def answering(self, install):
        def answers(name):
            class Answers:
                @hookimpl
                def izzati_call(self, call):
                    return name

            return Answers

        install(answers("b"), "b")
        install(answers("a"), "a")
        return answers

    def test_installed_plugins_are_asked_by_name_before_built_in_ones_and_after_given_ones(self, serve, answering):
        assert serve(nothing).request().json == "a"
        assert serve(nothing, plugins=[answering("given")()]).request().json == "given"

    @pytest.mark.usefixtures("answering")
    def test_order_names_those_that_are_asked_first(self, serve):
        assert serve(nothing, order=["b"]).request().json == "b"
        assert serve(nothing, order=["b", "a"]).request().json == "b"
        assert list(serve(nothing, order=["spool", "b"]).backend.plugins.by_name)[:4] == ["spool", "b", "a", "forms"]


class Mine(Codec):
    reads = writes = ("application/json",)

    def decode(self, body, request):
        return {"read by": "mine"}

    def encode(self, value, media_type):
        return b'"written by mine"'


JSON = {"Content-Type": "application/json"}


class TestClaims:
    def test_a_conflict_names_both_and_every_cure(self, install):
        install(Mine, "mine")
        with pytest.raises(PluginError) as caught:
            Backend(nothing)
        assert (
            "plugin 'mine' (izzati-mine 1.0): the plugins 'mine' and 'json' both claim the media type to read "
            "'application/json' and the media type to write 'application/json': block one of "
            "them, let one say that it replaces the other, as in "
            "Claims(replaces=('json',)), or say which of them has it by Backend(…, order=['mine', 'json'])"
        ) in str(caught.value)

    def test_order_settles_a_conflict_either_way(self, serve, install):
        install(Mine, "mine")
        mine = serve(lambda text, data: text, order=["mine", "json"])
        assert mine.request(b"{}", JSON).body == b'"written by mine"'
        json = serve(lambda text, data: text, order=["json", "mine"])
        assert json.request(b'{"a":1}', JSON).json == {"a": 1}
        with pytest.raises(PluginError, match="both claim"):
            Backend(nothing, order=["json"], only=["mine"])


class TestStrict:
    """``strict=False`` leaves out what is broken, says so, and serves."""

    @pytest.fixture
    def broken(self, install):
        class Misspelt:
            @hookimpl
            def izzati_finalise(self, response):
                pass

        class Wrong:
            @hookimpl
            def izzati_finalize(self, respond):
                pass

        class Asynchronous:
            @hookimpl
            async def izzati_finalize(self, response):
                pass

        for name, plugin in {"misspelt": Misspelt, "wrong": Wrong, "slow": Asynchronous, "mine": Mine}.items():
            install(plugin, name)
        return {
            "misspelt": "izzati_finalise is no hook; did you mean 'izzati_finalize'?",
            "wrong": "izzati_finalize has no parameter 'respond'; did you mean 'response'?",
            "slow": "izzati_finalize is async; hooks are plain functions: write def, not async def",
            "mine": "and the media type to write 'application/json'",
        }

    def test_all_problems_are_told_in_one_message_with_the_way_to_leave_them_out(self, broken):
        with pytest.raises(PluginError) as caught:
            Backend(nothing)
        for name, why in broken.items():
            assert f"plugin {name!r} (izzati-{name} 1.0): " in str(caught.value)
            assert why in str(caught.value)
        assert "IZZATI_BLOCK=mine,misspelt,slow,wrong" in str(caught.value)

    def test_what_is_broken_is_left_out_with_a_warning_and_the_rest_serves(self, serve, install, broken, caplog):
        install(says("sound"), "sound")
        with caplog.at_level(logging.WARNING):
            served = serve(lambda text, data: text, strict=False)
        for why in broken.values():
            assert why in caplog.text
        answer = served.request(b'{"a":1}', {"Content-Type": "application/json"})
        assert (answer.json, answer.headers["X-Said"]) == ({"a": 1}, "sound")
        assert {name: state(served.backend, name) for name in broken} == dict.fromkeys(broken, "broken")

    @pytest.mark.usefixtures("broken")
    def test_the_environment_says_so_for_programs_that_do_not(self, monkeypatch):
        monkeypatch.setenv("IZZATI_STRICT", "0")
        assert state(Backend(nothing), "wrong") == "broken"
        with pytest.raises(PluginError):
            Backend(nothing, strict=True)

    def test_of_two_installed_plugins_in_conflict_the_later_is_left_out(self, install):
        class First(Storage):
            schemes = ("s3",)

        class Second(Storage):
            schemes = ("s3",)

        install(First, "first")
        install(Second, "second")
        backend = Backend(nothing, strict=False)
        assert (state(backend, "first"), state(backend, "second")) == ("active", "broken")

    class Guard:
        def __init__(self):
            raise ValueError("no tokens are configured")

        @hookimpl
        def izzati_identify(self, request):
            return Identity("anybody")

    class Misspelt:
        @hookimpl
        def izzati_identfy(self, request):
            pass

    class Named:
        @hookimpl(specname="izzati_identify")
        def who(self, requests):
            pass

    class Doorman:
        @hookimpl
        def izzati_admit(self, requst):
            pass

    @pytest.mark.parametrize("plugin", [Guard, Misspelt, Named, Doorman])
    def test_a_broken_plugin_that_should_decide_who_may_call_lets_nobody_in(self, serve, install, plugin):
        install(plugin, "guard")
        answer = serve(nothing, strict=False).request()
        assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert "tokens" not in answer.json["detail"]

    def test_so_does_one_that_is_left_out_for_what_was_given_beside_it(self, serve):
        class Door:
            @hookimpl
            def izzati_identify(self, request):
                return Identity("anybody")

        assert serve(nothing, plugins=[Door(), Door()], strict=False).request().status == 503
        assert serve(nothing, plugins=[Door()], options={"Door": {}}, strict=False).request().status == 503

    def test_a_function_may_make_a_plugin_from_its_options(self, serve, install):
        def make(word: str = "made"):
            return says(word)()

        install(make, "maker")
        assert said(serve(nothing)) == ["made"]
        assert said(serve(nothing, options={"maker": {"word": "else"}})) == ["else"]

    def test_a_plugin_that_ends_the_program_is_broken(self, serve, install):
        class Quits:
            def __init__(self):
                raise SystemExit(3)

            @hookimpl
            def izzati_finalize(self):
                pass

        install(Quits, "quits")
        with pytest.raises(PluginError, match="SystemExit: 3"):
            Backend(nothing)
        assert serve(nothing, strict=False).request().status == 200


@pytest.mark.usefixtures("two")
def test_two_backends_with_different_plugins_share_nothing(serve):
    one, two = serve(nothing, only=["one"]), serve(nothing, only=["two"])
    assert (said(one), said(two)) == (["one"], ["two"])


def test_a_plugin_is_installed_for_one_test_only(serve):
    assert said(serve(nothing, only=None, strict=False)) == []
