"""Options of plugins: typed, from the program, the environment or izzati.toml, and told where they are wrong."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from izzati import Backend, Limits, OptionError, PluginError, Secret, hookimpl

pytestmark = pytest.mark.usefixtures("nowhere")


class Listening:
    """A plugin that does nothing; its subclasses have options."""

    @hookimpl
    def izzati_finalize(self, response):
        pass


class Typed(Listening):
    def __init__(
        self,
        text: str = "",
        number: int = 0,
        ratio: float = 0.0,
        on: bool = False,
        path: Path | None = None,
        names: Sequence[str] = (),
        numbers: list[int] | None = None,
        pair: tuple[int, ...] = (),
        kinds: frozenset[str] = frozenset(),
        table: Mapping[str, int] | None = None,
        mode: Literal["fast", "slow", 3] = "fast",
        either: int | str = 0,
        noted: Annotated[int, "a note"] = 0,
        untyped=None,
        anything: Any = None,
        function: Callable[[], int] | None = None,
        inner: Limits | None = None,
        items: Iterable[str] = (),
    ):
        self.given = {name: value for name, value in locals().items() if name != "self"}


class Guarded(Listening):
    def __init__(self, token: Secret[str], others: Secret[Sequence[str]] = (), fail: bool = False):
        self.token, self.others = token, others
        if fail:
            raise ValueError(f"{token} or {others} is not good enough")


@pytest.fixture
def backend(install):
    """``backend(…)``: a Backend that uses the plugins which the test has installed, and no others."""
    return lambda **arguments: Backend(lambda text, data: {}, **{"only": install.names, **arguments})


@pytest.fixture
def typed(install, backend):
    """``typed(**options)``: what the plugin ``typed`` gets, with these from the program."""
    install(Typed, "typed")

    def make(**options):
        return backend(options={"typed": options}).plugins.by_name["typed"].given

    return make


def record(made, name):
    return next(record for record in made.plugins.records if record.name == name)


class TestWhereAValueComesFrom:
    def test_the_program_is_stronger_than_the_environment_and_that_than_the_file(self, typed, nowhere, monkeypatch):
        (nowhere / "izzati.toml").write_text('[typed]\ntext = "file"\nnumber = 1\nratio = 1.5\n')
        monkeypatch.setenv("IZZATI_TYPED_TEXT", "environment")
        monkeypatch.setenv("IZZATI_TYPED_NUMBER", "2")
        given = typed(text="program")
        assert (given["text"], given["number"], given["ratio"], given["on"]) == ("program", 2, 1.5, False)

    def test_where_each_came_from_is_remembered(self, install, nowhere, monkeypatch, backend):
        install(Typed, "typed")
        (nowhere / "izzati.toml").write_text("[typed]\nratio = 1.5\n")
        monkeypatch.setenv("IZZATI_TYPED_NUMBER", "2")
        options = record(backend(options={"typed": {"on": True}}), "typed").options
        sources = {option.name: option.source for option in options if option.source != "default"}
        assert sources == {"on": "the program", "number": "IZZATI_TYPED_NUMBER", "ratio": "izzati.toml"}

    def test_the_file_may_be_elsewhere(self, typed, tmp_path_factory, monkeypatch):
        path = tmp_path_factory.mktemp("elsewhere") / "other.toml"
        path.write_text('[typed]\ntext = "other"\n')
        monkeypatch.setenv("IZZATI_CONFIG", str(path))
        assert typed()["text"] == "other"
        monkeypatch.setenv("IZZATI_CONFIG", "/no/such.toml")
        with pytest.raises(OptionError, match=r"IZZATI_CONFIG names '/no/such[.]toml', and there is no such file"):
            typed()

    def test_hyphens_in_a_name_are_underscores_in_a_variable_and_the_longest_name_wins(
        self, install, monkeypatch, backend
    ):
        class Two(Listening):
            def __init__(self, words_text: str = "", text: str = ""):
                self.given = words_text, text

        install(Two, "two")
        install(Two, "two-words")
        monkeypatch.setenv("IZZATI_TWO_WORDS_TEXT", "for the longer")
        monkeypatch.setenv("IZZATI_TWO_TEXT", "for the shorter")
        made = backend().plugins.by_name
        assert made["two-words"].given == ("", "for the longer")
        assert made["two"].given == ("", "for the shorter")

    def test_a_variable_that_two_plugins_share_is_told_with_both(self, install, nowhere, monkeypatch, backend):
        class My(Listening):
            def __init__(self, text: str = ""):
                self.text = text

        install(My, "my-codec")
        site = nowhere / "site" / "others-1.0.dist-info"
        site.mkdir(parents=True)
        (site / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
        where = "izzati_installed_my_codec:plugin"
        (site / "entry_points.txt").write_text(f"[izzati]\nmy_codec = {where}\nMy-Codec = {where}\n")
        monkeypatch.syspath_prepend(site.parent)
        install.names.extend(["my_codec", "My-Codec"])
        (nowhere / "izzati.toml").write_text('[my-codec]\ntext = "one"\n[my_codec]\ntext = "two"\n')
        made = backend().plugins.by_name
        assert [made[name].text for name in ("my-codec", "my_codec", "My-Codec")] == ["one", "two", ""]
        monkeypatch.setenv("IZZATI_MY_CODEC_TEXT", "whose?")
        with pytest.raises(OptionError) as caught:
            backend()
        assert (
            "IZZATI_MY_CODEC_TEXT in the environment may be meant for the plugins 'My-Codec' and 'my-codec' and "
            "'my_codec': unset it, and give their options by the program or in izzati.toml"
        ) in str(caught.value)

    def test_a_plugin_that_the_program_made_takes_no_variable_from_another(self, tmp_path, monkeypatch, backend):
        monkeypatch.setenv("IZZATI_SPOOL_FOLDER", str(tmp_path))
        made = backend(plugins=[type("Spool", (Listening,), {})()])
        assert record(made, "spool").options[0].value == tmp_path

    def test_limits_are_set_like_options_unless_the_program_gives_them(self, nowhere, monkeypatch, backend):
        (nowhere / "izzati.toml").write_text("[limits]\nparts = 7\n")
        monkeypatch.setenv("IZZATI_LIMITS_BODY", "1000")
        assert backend().limits == Limits(body=1000, parts=7)
        assert backend(limits=Limits(depth=5)).limits == Limits(depth=5)
        monkeypatch.setenv("IZZATI_LIMITS_BODY", "1k")
        with pytest.raises(
            OptionError, match=r"limits[.]body takes a whole number, not '1k' [(]from IZZATI_LIMITS_BODY"
        ):
            backend()

    @pytest.mark.parametrize("given", ["environment", "file", "program"])
    def test_an_object_has_its_options_from_its_own_arguments_alone(self, install, nowhere, monkeypatch, given):
        install(Typed, "typed")
        if given == "environment":
            monkeypatch.setenv("IZZATI_TYPED_TEXT", "another")
        if given == "file":
            (nowhere / "izzati.toml").write_text('[typed]\ntext = "another"\n')
        options = {"typed": {"text": "another"}} if given == "program" else {}
        with pytest.raises(OptionError, match="'typed', given to the Backend: options were given as well"):
            Backend(lambda text, data: {}, plugins=[Typed(text="mine")], options=options)

    def test_options_of_a_blocked_plugin_are_left_alone(self, install, monkeypatch, backend):
        install(Guarded, "guarded")
        monkeypatch.setenv("IZZATI_GUARDED_FAIL", "not a truth value")
        assert record(backend(block=["guarded"]), "guarded").state == "blocked"


class TestTypes:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("text", "a,b", "a,b"),
            ("number", "-12", -12),
            ("ratio", "1e3", 1000.0),
            ("on", "YES", True),
            ("on", "0", False),
            ("path", "/tmp", Path("/tmp")),
            ("names", "a, b ,,c", ["a", "b", "c"]),
            ("names", '["a, b", "c"]', ["a, b", "c"]),
            ("names", "", []),
            ("numbers", "1,2", [1, 2]),
            ("pair", "1,2", (1, 2)),
            ("kinds", "a,b,a", frozenset("ab")),
            ("table", '{"a": 1}', {"a": 1}),
            ("mode", "slow", "slow"),
            ("mode", "3", 3),
            ("either", "7", 7),
            ("either", "seven", "seven"),
            ("noted", "5", 5),
            ("untyped", "as it is", "as it is"),
            ("anything", "as it is", "as it is"),
            ("items", "a", ["a"]),
        ],
    )
    def test_a_variable_is_read_as_its_options_type(self, typed, monkeypatch, name, text, value):
        monkeypatch.setenv(f"IZZATI_TYPED_{name.upper()}", text)
        found = typed()[name]
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize(
        ("name", "text", "takes"),
        [
            ("number", "many", "a whole number"),
            ("number", "1.5", "a whole number"),
            ("ratio", "fast", "a number"),
            ("on", "maybe", "true or false"),
            ("numbers", "1,b", "a list of a whole number"),
            ("numbers", "[1", "a list of a whole number"),
            ("table", "{", "a table"),
            ("table", '["a"]', "a table"),
            ("mode", "quick", "one of 'fast', 'slow', 3"),
            ("inner", "x", "Limits or nothing"),
        ],
    )
    def test_a_variable_of_the_wrong_type_is_told(self, typed, monkeypatch, name, text, takes):
        variable = f"IZZATI_TYPED_{name.upper()}"
        monkeypatch.setenv(variable, text)
        with pytest.raises(OptionError) as caught:
            typed()
        assert f"typed.{name} takes {takes}" in str(caught.value)
        assert f"not {text!r} (from {variable})" in str(caught.value)

    @pytest.mark.parametrize(
        ("toml", "name", "value"),
        [
            ("ratio = 3", "ratio", 3),
            ('names = "only one"', "names", ["only one"]),
            ('path = "a/b"', "path", Path("a/b")),
            ("pair = [1, 2]", "pair", (1, 2)),
            ("table = {a = 1}", "table", {"a": 1}),
            ("on = true", "on", True),
        ],
    )
    def test_a_value_of_the_file_is_taken(self, typed, nowhere, toml, name, value):
        (nowhere / "izzati.toml").write_text(f"[typed]\n{toml}\n")
        assert typed()[name] == value

    @pytest.mark.parametrize(
        ("toml", "told"),
        [
            ('number = "3"', "typed.number takes a whole number, not '3' (from izzati.toml)"),
            ("number = true", "typed.number takes a whole number, not True (from izzati.toml)"),
            ("text = 3", "typed.text takes text, not 3 (from izzati.toml)"),
            ("names = [1]", "typed.names takes a list of text, not [1] (from izzati.toml)"),
            ("table = {a = 'x'}", "typed.table takes a table or nothing, not {'a': 'x'} (from izzati.toml)"),
            ("nmber = 3", "has no option 'nmber' (from izzati.toml)"),
        ],
    )
    def test_a_value_of_the_file_that_is_wrong_is_told(self, typed, nowhere, toml, told):
        (nowhere / "izzati.toml").write_text(f"[typed]\n{toml}\n")
        with pytest.raises(OptionError) as caught:
            typed()
        assert told in str(caught.value)

    def test_the_program_gives_what_no_text_can(self, typed):
        def function():
            return 1

        given = typed(function=function, inner=Limits(depth=3), numbers=None)
        assert (given["function"], given["inner"], given["numbers"]) == (function, Limits(depth=3), None)
        with pytest.raises(OptionError, match=r"typed[.]inner takes Limits or nothing, not 'deep' [(]from the program"):
            typed(inner="deep")

    @settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(names=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
    def test_any_list_of_names_can_be_a_variable(self, typed, monkeypatch, names):
        monkeypatch.setenv("IZZATI_TYPED_NAMES", json.dumps(names))
        assert typed()["names"] == names

    def test_types_that_cannot_be_found_are_told_with_the_cure(self, install, backend):
        class Hidden(Listening):
            def __init__(self, when: Nowhere = None):  # noqa: F821
                pass

        install(Hidden, "typed")
        with pytest.raises(OptionError, match=r"'Nowhere' is not defined[)]: import them where the module is run, too"):
            backend()


class TestUnknownAndMissing:
    def test_an_unknown_option_lists_the_valid_ones_and_says_where_it_came_from(self, install, monkeypatch, backend):
        install(Guarded, "guarded")
        monkeypatch.setenv("IZZATI_GUARDED_TOKEN", "x")
        monkeypatch.setenv("IZZATI_GUARDED_TOKN", "x")
        with pytest.raises(OptionError) as caught:
            backend()
        assert (
            "'guarded' has no option 'tokn' (from IZZATI_GUARDED_TOKN); it has token, others, fail; "
            "did you mean 'token'?"
        ) in str(caught.value)

    def test_an_unknown_plugin_is_told_wherever_it_is_named(self, nowhere, monkeypatch, backend):
        (nowhere / "izzati.toml").write_text("[spol]\nmemory = 1\n")
        monkeypatch.setenv("IZZATI_SEVER_THREADS", "3")
        with pytest.raises(PluginError) as caught:
            backend(options={"brwsers": {}})
        assert "options for 'spol' (from izzati.toml): there is no such plugin; did you mean 'spool'?" in str(
            caught.value
        )
        assert "IZZATI_SEVER_THREADS in the environment: no plugin has this name" in str(caught.value)
        assert "options for 'brwsers' (from the program): there is no such plugin" in str(caught.value)

    @pytest.mark.parametrize(
        ("variable", "meant"),
        [
            ("IZZATI_SEVER_THREADS", "IZZATI_SERVER_THREADS"),
            ("IZZATI_RAWBODY_X", "IZZATI_RAW_BODY_X"),
            ("IZZATI_BLOK", "IZZATI_BLOCK"),
            ("IZZATI_FOO", None),
            ("IZZATI_PORT", None),
            ("IZZATI_HOST", None),
            ("IZZATI_DEBUG", None),
            ("IZZATI_TOKEN", None),
            ("IZZATI_THE_SERVER_THREADS", None),
            ("IZZATI_", None),
        ],
    )
    def test_only_a_variable_that_is_near_is_suggested(self, monkeypatch, backend, variable, meant):
        monkeypatch.setenv(variable, "3")
        with pytest.raises(OptionError) as caught:
            backend()
        close = f"; did you mean {meant!r}?" if meant else ""
        assert f"\n  {variable} in the environment: no plugin has this name{close}\n" in f"{caught.value}\n"

    def test_a_switch_that_is_neither_on_nor_off_is_told(self, monkeypatch, backend):
        monkeypatch.setenv("IZZATI_STRICT", "perhaps")
        with pytest.raises(OptionError, match="IZZATI_STRICT takes true or false, not 'perhaps'"):
            backend()

    def test_a_required_option_that_is_missing_is_told_with_all_ways_to_give_it(self, install, backend):
        install(Guarded, "guarded")
        with pytest.raises(OptionError) as caught:
            backend()
        assert (
            "guarded needs the option 'token', text; give it by options={'guarded': {'token': …}}, "
            "IZZATI_GUARDED_TOKEN or [guarded] in izzati.toml"
        ) in str(caught.value)

    @pytest.mark.parametrize(
        ("toml", "told"),
        [
            ("[typed", "izzati.toml is not valid TOML"),
            (b"\xff", "izzati.toml is not valid TOML"),
            ("threads = 3", "threads stands alone, and belongs to no plugin; write it below a plugin's [name]"),
            ("block = 3", "block takes a list of names"),
            ("[block]\ntoken = 3", "block takes a list of names"),
        ],
    )
    def test_a_file_that_cannot_be_read_is_told(self, nowhere, toml, told, backend):
        (nowhere / "izzati.toml").write_bytes(toml if isinstance(toml, bytes) else toml.encode())
        with pytest.raises(OptionError) as caught:
            backend()
        assert told in str(caught.value)


class TestSecrets:
    def test_a_secret_reaches_its_plugin(self, install, monkeypatch, backend):
        install(Guarded, "guarded")
        monkeypatch.setenv("IZZATI_GUARDED_TOKEN", "hush")
        made = backend(options={"guarded": {"others": ["a", "b"]}})
        assert (made.plugins.by_name["guarded"].token, made.plugins.by_name["guarded"].others) == ("hush", ["a", "b"])
        assert [option.hidden for option in record(made, "guarded").options] == [True, True, False]

    @pytest.mark.parametrize("kind", [Secret[str], Secret[str] | None, Secret[Sequence[str]]])
    def test_a_secret_is_one_in_any_company(self, install, kind, backend):
        class Sealed(Listening):
            def __init__(self, seal=None):
                pass

        Sealed.__init__.__annotations__["seal"] = kind
        install(Sealed, "sealed")
        options = record(backend(options={"sealed": {"seal": "hush"}}), "sealed").options
        assert [option.hidden for option in options] == [True]

    def test_a_secret_default_is_one_too_and_so_is_what_a_table_holds(self, install, backend):
        class Deep(Listening):
            def __init__(self, seal: Secret[str] = "wax", table: Secret[Mapping[str, Mapping[str, str]]] = {}):  # noqa: B006
                if table:
                    raise OptionError(f"{table} is no good")

        install(Deep, "deep")
        assert [option.hidden for option in record(backend(), "deep").options] == [True, False]
        with pytest.raises(OptionError) as caught:
            backend(options={"deep": {"table": {"s3": {"key": "hush hush"}}}})
        assert "{'s3': {'key': '(secret)'}} is no good" in str(caught.value)

    def test_a_short_secret_leaves_no_hole_that_shows_it(self, install, monkeypatch, backend):
        install(Guarded, "guarded")
        monkeypatch.setenv("IZZATI_GUARDED_TOKEN", "e")
        with pytest.raises(PluginError, match=r"ValueError: [(]what it says may be a secret[)]"):
            backend(options={"guarded": {"fail": True}})

    def test_no_error_repeats_a_secret(self, install, monkeypatch, backend):
        install(Guarded, "guarded")
        monkeypatch.setenv("IZZATI_GUARDED_TOKEN", "hush")
        with pytest.raises(PluginError) as caught:
            backend(options={"guarded": {"fail": True, "others": ["silence", "new\nline"]}})
        assert "(secret) or ['(secret)', '(secret)'] is not good enough" in str(caught.value)
        with pytest.raises(OptionError) as caught:
            backend(options={"guarded": {"token": 12345}})
        assert "guarded.token takes text, not what was given (from the program)" in str(caught.value)

    @pytest.mark.parametrize("hook", ["izzati_startup", "izzati_routes"])
    def test_nor_does_one_that_keeps_the_backend_from_serving(self, install, monkeypatch, backend, hook):
        class Keeper(Listening):
            def __init__(self, token: Secret[str], kind: str = "ValueError"):
                self.token, self.kind = token, kind

            @hookimpl(specname=hook)
            def prepare(self):
                raise {"ValueError": ValueError, "OptionError": OptionError}[self.kind](f"{self.token} is refused")

        install(Keeper, "keeper")
        monkeypatch.setenv("IZZATI_KEEPER_TOKEN", "hunter2")
        for kind, told in (("ValueError", "ValueError: "), ("OptionError", "")):
            with pytest.raises(PluginError) as caught:
                backend(options={"keeper": {"kind": kind}}).listen("127.0.0.1", 0)
            assert str(caught.value) == f"{hook} of the plugin 'keeper' failed: {told}(secret) is refused"
            assert isinstance(caught.value, OptionError) is (kind == "OptionError")
            assert "hunter2" not in "".join(traceback.format_exception(caught.type, caught.value, caught.tb))

    def test_what_holds_no_secret_keeps_its_traceback(self, install, backend):
        class Plain(Listening):
            @hookimpl
            def izzati_startup(self):
                raise ZeroDivisionError("no disk")

        install(Plain, "plain")
        with pytest.raises(PluginError, match=r"izzati_startup of the plugin 'plain' failed: .*no disk") as caught:
            backend().listen("127.0.0.1", 0)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def test_an_error_of_a_plugins_own_kind_is_told_whatever_it_takes(self, install, backend):
        class Refusal(OptionError):
            def __init__(self, name, why):
                super().__init__(f"{name}: {why}")

        class Fussy(Listening):
            def __init__(self):
                raise Refusal("fussy", "no")

        install(Fussy, "fussy")
        with pytest.raises(OptionError, match="fussy: no"):
            backend()
