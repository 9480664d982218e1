"""The contract of storage plugins: where uploads go, what of them stays, and what can be opened again."""

from __future__ import annotations

import errno
import hashlib
import io
import re
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from izzati.backend import Backend
from izzati.errors import Problem, UnknownScheme
from izzati.files import file_return
from izzati.markers import hookimpl
from izzati.message import Content, StoredFile
from izzati.request import Request
from izzati.storage import Storage
from izzati.testing.served import SECONDS, serving
from izzati.uploads import Sink, Upload, UploadedFile

__all__ = ["StorageSuite"]

T = TypeVar("T")

_SETTINGS = settings(
    max_examples=20,
    deadline=None,
    # A suite is subclassed, and its fixtures are made once for all examples of a test; slow machines are no defect.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)

_RAW = {"Content-Type": "application/octet-stream"}
_CALLERS = 12


def _pattern(seed: int, size: int) -> bytes:
    """Bytes in which a block that is lost, doubled or moved shows; none of them repeats soon."""
    block = hashlib.sha256(bytes([seed])).digest()
    return b"".join(b"%08x" % number + block for number in range(size // 40 + 1))[:size]


# Large blocks are drawn as seed and size: a failure that prints them would be unreadable.
_BLOCKS = st.lists(
    st.binary(max_size=40) | st.tuples(st.integers(0, 255), st.sampled_from([1000, 16 * 1024, 70_000, 300_000])),
    max_size=6,
)
Drawn = list[bytes | tuple[int, int]]


def _made(blocks: Drawn) -> list[bytes]:
    return [block if isinstance(block, bytes) else _pattern(*block) for block in blocks]


_NAMES = [
    *("", " ", ".", "..", "...", "~", "-rf", "CON", "nul.txt", "a:b", "*?", "$HOME", ".hidden", "%00", "a#b?c&d"),
    *("../../escaped", "/etc/escaped", "..\\..\\escaped", "C:\\escaped", "\\\\host\\share", "%2e%2e%2fescaped"),
    *("a\0b", "a\nb", "\x7f", "\u202egnp.exe", "\u2066a\u2069", "\ufeff", "x" * 4000, "\xe9" * 300 + ".png"),
]


def _any_name(test: Callable[..., None]) -> Callable[..., None]:
    """Try all of these names, and some that nobody thought of. What is no UTF-8 has been replaced on its way in."""
    for name in _NAMES:
        test = example(name=name)(test)
    test = given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))(test)
    return settings(_SETTINGS, max_examples=10)(test)


_UNSAFE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069/\\]")


class StorageSuite:
    """What every storage plugin must do. Subclass it and override its fixtures::

        from izzati.testing import StorageSuite

        from izzati_vault import Vault  # a plugin that keeps uploads, and stores at vault://…


        class TestVault(StorageSuite):
            @pytest.fixture
            def plugin(self, tmp_path):
                return Vault(folder=tmp_path)

            @pytest.fixture
            def kept(self, tmp_path):
                return lambda: [str(path) for path in tmp_path.rglob("*") if path.is_file()]

            @pytest.fixture
            def location(self):
                return lambda name: f"vault://{name}"

    A plugin that leaves uploads to others (``sink`` is not overridden), or that does not save or does not open, is
    spared the tests of that.
    """

    temporary = True
    """True if an upload is gone when its request is over, unless it was saved; False for a store that keeps each."""

    memory: int | None = 16 << 20
    """Bytes that one upload may take of memory, whatever its size; None for a store that holds uploads in memory."""

    # What the author says --------------------------------------------------------------------------------------------

    @pytest.fixture
    def plugin(self) -> Any:
        """The plugin to test: a new instance for each test, on a store that holds nothing of another test."""
        raise NotImplementedError(
            "override the fixture `plugin` of this StorageSuite: it returns an instance of the storage plugin to test"
        )

    @pytest.fixture
    def kept(self) -> Callable[[], Iterable[object]]:
        """A function that lists everything the store holds now: paths of all files below its folder, keys of its
        bucket. It sees what is on its way in as well as what was saved, so that nothing can be left unseen.
        """
        raise NotImplementedError(
            "override the fixture `kept` of this StorageSuite: it returns a function that lists all that the store "
            "holds now, such as the names of the files in its folder"
        )

    @pytest.fixture
    def location(self, plugin: Any) -> Callable[[str], str]:
        """A function from a plain file name to a location that the plugin saves at and opens. Its store is empty at
        the beginning of each test.
        """
        if not (_can(plugin, "save") or _can(plugin, "open")):
            pytest.skip("the plugin neither saves nor opens; for one that does, override the fixture `location`")
        raise NotImplementedError(
            "override the fixture `location` of this StorageSuite: it returns a function from a file name to a "
            "location where the plugin saves, such as `lambda name: f's3://bucket/{name}'`"
        )

    @pytest.fixture
    def folder(self) -> str:
        """A location that is a folder: what is saved there gets the name of its upload. Written as ``save()`` writes
        it, so that the locations it returns begin with it. Not overridden: the store has no folders.
        """
        pytest.skip("saving in a folder is not tested; for a store with folders, override the fixture `folder`")

    # Claims ----------------------------------------------------------------------------------------------------------

    def test_its_schemes_are_valid_and_in_lower_case(self, plugin: Any) -> None:
        """A location's scheme is looked up in lower case, so that one claimed otherwise would never be found. One
        letter is a drive of Windows; the empty scheme is a path.
        """
        schemes = plugin.izzati_claims().schemes if hasattr(plugin, "izzati_claims") else ()
        assert isinstance(schemes, tuple), f"schemes are a tuple of strings, not {schemes!r}"
        for scheme in schemes:
            assert scheme == "" or re.fullmatch(r"[a-z][a-z0-9+.-]+", scheme), f"{scheme!r} is no scheme in lower case"
        assert len(set(schemes)) == len(schemes), f"a scheme is claimed twice: {schemes!r}"

    def test_locations_of_other_schemes_are_declined(self, plugin: Any, kept: Callable[[], Iterable[object]]) -> None:
        """Whatever is not its own is another plugin's: to answer would hide that one, and to raise would break it. The
        most likely mistake is to look only at how a location begins.
        """
        _need(plugin, "save", "open")
        before = _listed(kept)
        own = [scheme for scheme in plugin.izzati_claims().schemes if scheme]
        foreign = ["izzati-nobody://bucket/key", *(f"{scheme}x://bucket/key" for scheme in own)]

        def use(files: list[UploadedFile], request: Request) -> list[str]:
            answered = []
            for location in foreign:
                for act in (files[0].save, request.open):
                    try:
                        act(location)
                    except UnknownScheme:
                        continue
                    answered.append(location)
            return answered

        assert _handle([plugin], [("a.bin", [b"x"])], use) == [], "locations of other schemes were answered"
        if self.temporary:
            assert _listed(kept) == before

    # From the first byte to commit -----------------------------------------------------------------------------------

    @_SETTINGS
    @given(blocks=_BLOCKS)
    @example(blocks=[b"a", b"", b"b"])
    def test_blocks_come_back_whole_and_in_order(self, plugin: Any, blocks: Drawn) -> None:
        """Whatever the lengths of the blocks in which an upload arrives: its reader gives their sum."""
        _need(plugin, "sink")

        def use(files: list[UploadedFile], request: Request) -> tuple[bytes, int]:
            with files[0].sink.open() as reader:
                return reader.read(), files[0].size

        content = b"".join(_made(blocks))
        read, size = _handle([plugin], [("a.bin", _made(blocks))], use)
        assert _same(read, content)
        assert size == len(content)

    @pytest.mark.parametrize("blocks", [[], [b""]], ids=["no block", "an empty block"])
    def test_an_upload_of_no_bytes_is_an_empty_file(self, plugin: Any, blocks: list[bytes]) -> None:
        """A form may hold an empty file. What is opened only when the first byte comes does not exist then."""
        _need(plugin, "sink")
        assert _handle([plugin], [("empty.txt", blocks)], lambda files, request: files[0].read()) == b""

    def test_a_reader_begins_at_the_beginning_and_is_seekable(self, plugin: Any) -> None:
        """Callbacks hand uploads to image and archive libraries, which go back and forth in them."""
        _need(plugin, "sink")
        content = _pattern(1, 200_000)

        def use(files: list[UploadedFile], request: Request) -> list[Any]:
            with files[0].sink.open() as reader:
                return [
                    reader.seekable(),
                    reader.tell(),
                    reader.read(10),
                    reader.seek(-10, 2),
                    reader.read(),
                    reader.seek(100_000),
                    reader.tell(),
                    reader.read(10),
                    reader.seek(0),
                    reader.read(),
                ]

        *found, whole = _handle([plugin], [("a.bin", [content[:70_000], content[70_000:]])], use)
        assert found == [
            *(True, 0, content[:10], 199_990, content[-10:]),
            *(100_000, 100_000, content[100_000:100_010], 0),
        ]
        assert _same(bytes(whole), content)

    def test_two_readers_of_an_upload_are_independent(self, plugin: Any) -> None:
        """``open`` gives a new reader: the callback's, save's and the answer's do not move each other."""
        _need(plugin, "sink")
        content = _pattern(2, 100_000)

        def use(files: list[UploadedFile], request: Request) -> tuple[bytes, bytes, bytes]:
            with files[0].sink.open() as one, files[0].sink.open() as other:
                begun = one.read(1000)
                whole = other.read()
                other.close()
                return begun, whole, one.read()

        begun, whole, rest = _handle([plugin], [("a.bin", [content])], use)
        assert (_same(whole, content), _same(begun + rest, content)) == (True, True)

    def test_an_upload_is_sent_back_after_the_callback_has_read_it(self, plugin: Any) -> None:
        """An answer is read from its sink when the callback has returned; not before its end may the sink go."""
        _need(plugin, "sink")
        content = _pattern(3, 3 << 20)

        def callback(text: dict[str, Any], data: list[UploadedFile]) -> UploadedFile:
            data[0].read()
            return data[0]

        with serving(Backend(callback, plugins=[plugin], only=())) as served:
            answer = served.request(content, _RAW)
        assert answer.status == 200
        assert _same(answer.body, content)

    def test_two_uploads_of_one_name_do_not_mix(self, plugin: Any) -> None:
        """A form may hold many files of one name, and nothing but their sinks tells them apart."""
        _need(plugin, "sink")
        contents = [_pattern(seed, 50_000) for seed in range(3)]
        found = _handle(
            [plugin],
            [("a.bin", [content]) for content in contents],
            lambda files, request: [file.read() for file in files],
        )
        assert [_same(*each) for each in zip(found, contents, strict=True)] == [True] * 3

    def test_many_uploads_at_once_do_not_mix(self, plugin: Any) -> None:
        """Requests are served by threads. All uploads are there, committed, before the first of them is read."""
        _need(plugin, "sink")
        together = threading.Barrier(_CALLERS)

        def callback(text: dict[str, Any], data: list[UploadedFile]) -> str:
            together.wait(SECONDS)
            return hashlib.sha256(data[0].read()).hexdigest()

        contents = [_pattern(seed, 60_000 + seed) for seed in range(_CALLERS)]
        headers = {**_RAW, "Content-Disposition": 'attachment; filename="a.bin"'}
        with serving(Backend(callback, plugins=[plugin], only=())) as served, ThreadPoolExecutor(_CALLERS) as pool:
            answers = list(pool.map(lambda content: served.request(content, headers), contents))
        assert [answer.status for answer in answers] == [200] * _CALLERS
        assert [answer.json for answer in answers] == [hashlib.sha256(content).hexdigest() for content in contents]

    @_any_name
    def test_an_upload_of_any_name_is_taken(
        self, plugin: Any, kept: Callable[[], Iterable[object]], tmp_path: Path, name: str
    ) -> None:
        """Strangers choose the names of uploads. A sink that builds a path from one fails at ``..``, at a NUL or at
        4000 letters, and with bad luck writes over a file of somebody else.
        """
        _need(plugin, "sink")
        before = _listed(kept)
        outside = _siblings(tmp_path)
        assert _handle([plugin], [(name, [b"content"])], lambda files, request: files[0].read()) == b"content"
        if self.temporary:
            assert _listed(kept) == before
        assert _siblings(tmp_path) == outside, "something was written outside the store"

    def test_a_large_upload_arrives_whole(self, plugin: Any) -> None:
        """Over a real connection, in a body whose length is declared and in a chunked one."""
        _need(plugin, "sink")
        content = _pattern(4, 6 << 20)
        with serving(Backend(_digest, plugins=[plugin], only=())) as served:
            answers = [served.request(content, _RAW), served.request(_in_blocks(content), _RAW)]
        assert [(answer.status, answer.json) for answer in answers] == [(200, hashlib.sha256(content).hexdigest())] * 2

    def test_a_large_upload_takes_little_memory(self, plugin: Any) -> None:
        """A sink hands on what it gets. One that collects it lets a single caller take all memory."""
        _need(plugin, "sink")
        if self.memory is None:
            pytest.skip("the store holds uploads in memory, as the attribute `memory` says")
        block = _pattern(5, 256 * 1024)
        blocks = 2 * self.memory // len(block) + 8
        headers = {**_RAW, "Content-Length": str(blocks * len(block))}
        with serving(Backend(_digest, plugins=[plugin], only=())) as served:
            status, peak = _traced(lambda: served.request((block for _ in range(blocks)), headers).status)
        assert status == 200
        assert peak < self.memory, f"an upload of {blocks * len(block):,} bytes took {peak:,} bytes of memory"

    # Nothing is left -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1000, 2 << 20], ids=["empty", "small", "large"])
    def test_an_aborted_upload_leaves_nothing(
        self, plugin: Any, kept: Callable[[], Iterable[object]], size: int
    ) -> None:
        """A body that turns out to be bad when its uploads have arrived is refused, and they are aborted."""
        _need(plugin, "sink")
        before = _listed(kept)
        assert _refused([plugin], [("a.bin", [_pattern(6, size)] if size else [])]) == 400
        assert _listed(kept) == before

    def test_an_upload_aborted_after_its_commit_leaves_nothing(
        self, plugin: Any, kept: Callable[[], Iterable[object]]
    ) -> None:
        """Uploads are committed one by one. When one of them fails at it, those before it are aborted all the same."""
        _need(plugin, "sink")
        before = _listed(kept)
        failing = _Held(b"", fails="commit")
        uploads = [("a.bin", [_pattern(7, 100_000)]), ("b.bin", [b"small"]), (_HELD, [])]
        assert _refused([plugin], uploads, failing) == 507
        assert failing.log == ["commit", "abort"]
        assert _listed(kept) == before

    def test_all_uploads_of_a_request_fail_with_one(self, plugin: Any, kept: Callable[[], Iterable[object]]) -> None:
        """No room for the third of three files: the first, which was complete, and the others go with it."""
        _need(plugin, "sink")
        before = _listed(kept)
        uploads = [("a.bin", [_pattern(8, 100_000)]), ("a.bin", [b"small"]), (_HELD, [b"x"])]
        assert _refused([plugin], uploads, _Held(b"", fails="write")) == 507
        assert _listed(kept) == before

    @pytest.mark.parametrize("form", [False, True], ids=["a raw body", "a form"])
    def test_an_upload_that_is_broken_off_leaves_nothing(
        self, plugin: Any, kept: Callable[[], Iterable[object]], form: bool
    ) -> None:
        """The caller goes when half of the body has been sent, over a real connection."""
        _need(plugin, "sink")
        before = _listed(kept)
        begun = _Begun()
        kind = b"multipart/form-data; boundary=b" if form else b"image/png"
        start = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' if form else b""
        with serving(Backend(_digest, plugins=[begun, plugin], only=())) as served:
            with served.connect() as sock:
                sock.sendall(
                    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\nContent-Type: %s\r\n\r\n%s%s"
                    % (kind, start, _pattern(9, 2_000_000))
                )
                assert begun.event.wait(SECONDS), "no sink was asked for"
            served.stop()  # returns when the broken request is done with
            assert _listed(kept) == before

    @pytest.mark.parametrize("raises", [False, True], ids=["after an answer", "after a failure"])
    def test_a_request_leaves_nothing_that_was_not_saved(
        self, plugin: Any, kept: Callable[[], Iterable[object]], raises: bool
    ) -> None:
        """An upload lives as long as its request, also one whose callback raises."""
        _need(plugin, "sink")
        if not self.temporary:
            pytest.skip("the store keeps every upload, as the attribute `temporary` says")
        before = _listed(kept)

        def use(files: list[UploadedFile], request: Request) -> bytes:
            if raises:
                raise Problem(409, "The callback says no.")
            return files[0].read(10)

        uploads = [("a.bin", [_pattern(10, 2 << 20)]), ("b.bin", [b"small"])]
        if raises:
            with pytest.raises(Problem):
                _handle([plugin], uploads, use)
        else:
            _handle([plugin], uploads, use)
        assert _listed(kept) == before

    def test_a_store_that_keeps_uploads_keeps_each(self, plugin: Any, kept: Callable[[], Iterable[object]]) -> None:
        """Its callers rely on that: what was committed is there when the request is over."""
        _need(plugin, "sink")
        if self.temporary:
            pytest.skip("the store keeps no upload that is not saved, as the attribute `temporary` says")
        before = _listed(kept)
        for _ in range(2):
            _handle([plugin], [("a.bin", [b"content"])], lambda files, request: None)
        assert len(_listed(kept)) >= len(before) + 2, f"after two uploads the store holds {_listed(kept)}"

    def test_requests_leave_no_file_open(self, plugin: Any) -> None:
        """A descriptor that each request leaves behind ends a server after a thousand of them."""
        _need(plugin, "sink")
        folder = next((path for path in (Path("/proc/self/fd"), Path("/dev/fd")) if path.is_dir()), None)
        if folder is None:
            pytest.skip("this system does not say which files are open")
        uploads = [("a.bin", [_pattern(11, 300_000)])]
        _handle([plugin], uploads, lambda files, request: files[0].read(1))  # opens what is opened once
        _refused([plugin], uploads)
        before = len(list(folder.iterdir()))
        for _ in range(20):
            _handle([plugin], uploads, lambda files, request: files[0].read(1))
            _refused([plugin], uploads)
        assert len(list(folder.iterdir())) < before + 10, "forty requests left more than ten files open"

    # Saving and opening ----------------------------------------------------------------------------------------------

    @_SETTINGS
    @given(blocks=_BLOCKS)
    def test_a_saved_file_opens_with_the_same_bytes(
        self, plugin: Any, location: Callable[[str], str], blocks: Drawn
    ) -> None:
        """At the location that ``save`` returned, and at the one that it was given."""
        _need(plugin, "save", "open")

        def use(files: list[UploadedFile], request: Request) -> list[bytes]:
            saved = files[0].save(location("same.bin"))
            return [_read(request.open(each)) for each in (saved, location("same.bin"))]

        content = b"".join(_made(blocks))
        assert [_same(found, content) for found in _handle([plugin], [("a.bin", _made(blocks))], use)] == [True, True]

    @pytest.mark.parametrize("size", [0, 100_000], ids=["empty", "large"])
    def test_an_opened_file_knows_its_name_size_and_age(
        self, plugin: Any, location: Callable[[str], str], size: int
    ) -> None:
        """They become headers: a wrong size cuts an answer off or keeps its caller waiting. What is not known is
        None; a time in milliseconds is not a time in seconds.
        """
        _need(plugin, "save", "open")

        def use(files: list[UploadedFile], request: Request) -> tuple[str, StoredFile]:
            saved = files[0].save(location("photo.png"))
            opened = request.open(saved)
            opened.stream.close()
            return saved, opened

        saved, opened = _handle([plugin], [("a.bin", [_pattern(12, size)] if size else [])], use)
        assert opened.name == re.split(r"[/\\]", saved)[-1]
        assert opened.size in (size, None)
        assert opened.modified is None or abs(opened.modified - time.time()) < 24 * 3600

    def test_a_file_is_sent_by_its_location(self, plugin: Any, location: Callable[[str], str]) -> None:
        """``file_return(location)``, over a real connection: its bytes, its name, its media type."""
        _need(plugin, "save", "open")
        content = _pattern(13, 3 << 20)

        def callback(text: dict[str, Any], data: list[UploadedFile]) -> Any:
            return file_return(data[0].save(location("photo.png")))

        with serving(Backend(callback, plugins=[plugin], only=())) as served:
            answer = served.request(content, _RAW)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
        assert "photo.png" in answer.headers["Content-Disposition"]
        assert _same(answer.body, content)

    def test_a_file_can_be_opened_twice_at_once(self, plugin: Any, location: Callable[[str], str]) -> None:
        """Two callers may be sent one file at the same time."""
        _need(plugin, "save", "open")
        content = _pattern(14, 400_000)

        def use(files: list[UploadedFile], request: Request) -> tuple[bytes, bytes, bytes]:
            saved = files[0].save(location("a.bin"))
            one, other = request.open(saved), request.open(saved)
            begun = one.stream.read(1000)
            return begun, _read(other), _read(one)

        begun, whole, rest = _handle([plugin], [("a.bin", [content])], use)
        assert (_same(whole, content), _same(begun + rest, content)) == (True, True)

    def test_a_scheme_may_be_written_in_capitals(self, plugin: Any, location: Callable[[str], str]) -> None:
        """Schemes are the same in either case (RFC 3986 §3.1), and a hook gets the location as it was written."""
        _need(plugin, "save", "open")
        plain = location("capitals.bin")
        scheme, mark, rest = plain.partition("://")
        if not mark:
            pytest.skip("locations of the fixture `location` are paths, without a scheme")

        def use(files: list[UploadedFile], request: Request) -> list[bytes]:
            saved = files[0].save(f"{scheme.upper()}://{rest}")
            return [_read(request.open(each)) for each in (saved, plain, f"{scheme.upper()}://{rest}")]

        assert _handle([plugin], [("a.bin", [b"content"])], use) == [b"content"] * 3

    def test_opening_what_does_not_exist_is_file_not_found(self, plugin: Any, location: Callable[[str], str]) -> None:
        """A callback that wants to go on without the file catches that; any other exception looks like a defect."""
        _need(plugin, "open")

        def use(files: list[UploadedFile], request: Request) -> None:
            request.open(location("missing.bin")).stream.close()

        with pytest.raises(FileNotFoundError):
            _handle([plugin], [], use)

    def test_a_saved_file_stays_and_its_upload_can_still_be_read(
        self, plugin: Any, location: Callable[[str], str]
    ) -> None:
        """Saving takes nothing from the callback, and the end of the request takes nothing from what was saved."""
        _need(plugin, "save", "open")
        for size in (1000, 2 << 20):
            content = _pattern(15, size)

            def use(files: list[UploadedFile], request: Request) -> tuple[str, bytes]:
                return files[0].save(location("kept.bin")), files[0].read()

            saved, read = _handle([plugin], [("a.bin", [content])], use)
            assert _same(read, content)
            assert _same(_opened(plugin, saved), content)

    def test_an_upload_saved_twice_is_two_files(self, plugin: Any, location: Callable[[str], str]) -> None:
        """What replaces one of them leaves the other as it was."""
        _need(plugin, "save", "open")
        content = _pattern(16, 100_000)
        one, other = _handle(
            [plugin],
            [("a.bin", [content])],
            lambda files, request: (files[0].save(location("one.bin")), files[0].save(location("other.bin"))),
        )
        assert one != other
        _save(plugin, b"replaced", location("one.bin"))
        assert (_opened(plugin, one), _same(_opened(plugin, other), content)) == (b"replaced", True)

    def test_saving_again_replaces_the_whole_file(
        self, plugin: Any, location: Callable[[str], str], kept: Callable[[], Iterable[object]]
    ) -> None:
        """A shorter file leaves no end of the longer one before it, and no second file beside it."""
        _need(plugin, "save", "open")
        _save(plugin, _pattern(17, 200_000), location("a.bin"))
        before = _listed(kept)
        saved = _save(plugin, b"short", location("a.bin"))
        assert _opened(plugin, saved) == b"short"
        if self.temporary:
            assert _listed(kept) == before

    def test_who_reads_a_file_while_it_is_replaced_gets_no_mix(
        self, plugin: Any, location: Callable[[str], str]
    ) -> None:
        """``save`` replaces atomically. A reader from before has the old file, or an OSError, never half of each."""
        _need(plugin, "save", "open")
        old, new = _pattern(18, 1 << 20), _pattern(19, 1 << 20)
        reading = _open(plugin, _save(plugin, old, location("a.bin"))).stream
        with reading:
            found = reading.read(1000)
            _save(plugin, new, location("a.bin"))
            try:
                found += reading.read()
            except OSError:
                found = old  # told that the file has changed
        assert _same(found, old)
        assert _same(_opened(plugin, location("a.bin")), new)

    def test_an_upload_that_another_plugin_holds_is_saved_too(
        self, plugin: Any, location: Callable[[str], str]
    ) -> None:
        """A callback saves at any location, whichever plugin took the upload: read it by ``file.sink.open()``."""
        _need(plugin, "save", "open")
        content = _pattern(20, 300_000)
        saved = _handle(
            [plugin],
            [(_HELD, [])],
            lambda files, request: files[0].save(location("foreign.bin")),
            _Held(content),
        )
        assert _same(_opened(plugin, saved), content)

    def test_a_save_that_fails_leaves_what_was_there(
        self, plugin: Any, location: Callable[[str], str], kept: Callable[[], Iterable[object]]
    ) -> None:
        """A source that breaks in the middle: no half of a file appears, and one that exists stays whole. (A plain
        ``with fs.open(…)`` keeps what was written when its block raises.)
        """
        _need(plugin, "save", "open")
        old = _save(plugin, b"old", location("old.bin"))
        before = _listed(kept)

        def use(files: list[UploadedFile], request: Request) -> None:
            for name in ("old.bin", "new.bin"):
                with pytest.raises(OSError, match="the source broke"):
                    files[0].save(location(name))

        _handle([plugin], [(_HELD, [])], use, _Held(_pattern(21, 600_000), fails="read"))
        assert _opened(plugin, old) == b"old"
        assert _listed(kept) == before

    # Saving in a folder ----------------------------------------------------------------------------------------------

    @_any_name
    def test_no_name_leads_out_of_the_folder(
        self, plugin: Any, folder: str, kept: Callable[[], Iterable[object]], tmp_path: Path, name: str
    ) -> None:
        """Saved in a folder, an upload gets its own name, made safe (``izzati.safe_filename``): one component, below
        that folder, without characters that mislead who reads it.
        """
        _need(plugin, "save", "open")
        before, outside = _listed(kept), _siblings(tmp_path)
        saved = _handle([plugin], [(name, [b"content"])], lambda files, request: files[0].save(folder))
        assert saved.startswith(folder), f"{saved!r} is not in {folder!r}"
        own = saved[len(folder) :].lstrip("/\\")
        assert own not in ("", ".", ".."), f"the upload {name!r} got the name {own!r}"
        assert not _UNSAFE.search(own), f"the upload {name!r} got the name {own!r}"
        assert _opened(plugin, saved) == b"content"
        if self.temporary:
            assert len(_listed(kept)) == len(before) + 1
        assert _siblings(tmp_path) == outside, "something was written outside the store"

    def test_a_name_that_is_taken_gets_a_number(self, plugin: Any, folder: str) -> None:
        """In a folder nothing is replaced: two callers who send ``photo.png`` do not know of each other."""
        _need(plugin, "save", "open")
        contents = [b"one", b"two", b"three"]
        saved = [
            _handle([plugin], [("photo.png", [content])], lambda files, request: files[0].save(folder))
            for content in contents
        ]
        assert [_opened(plugin, each) for each in saved] == contents
        assert len(set(saved)) == len(contents)


# A request without a connection ---------------------------------------------------------------------------------------

_HELD = "held by another plugin"
"""The name of an upload that the suite's own sink takes."""


class _Scripted:
    """Reads a body as if it held these uploads, block by block as given, and takes those named ``_HELD`` itself."""

    def __init__(self, uploads: Sequence[tuple[str, Sequence[bytes]]], held: Sink | None, refuses: bool) -> None:
        self._uploads = uploads
        self._held = held
        self._refuses = refuses

    @hookimpl
    def izzati_read(self, request: Request) -> Content:
        request.body.whole()
        uploads = []
        for filename, blocks in self._uploads:
            upload = request.receive(filename, "file", "application/octet-stream")
            for block in blocks:
                upload.write(block)
            uploads.append(upload)
        if self._refuses:
            raise Problem(400, "The body ends as none should.")
        return Content(uploads=uploads)

    @hookimpl
    def izzati_store(self, upload: Upload, request: Request) -> Sink | None:
        return self._held if upload.filename == _HELD else None


class _Held(Sink):
    """A sink that has its content already, and can be made to fail."""

    def __init__(self, content: bytes, fails: str = "") -> None:
        self._content = content
        self._fails = fails
        self.log: list[str] = []

    def write(self, data: bytes) -> None:
        if self._fails == "write":
            raise OSError(errno.ENOSPC, "No space left on device")

    def commit(self) -> None:
        self.log.append("commit")
        if self._fails == "commit":
            raise OSError(errno.ENOSPC, "No space left on device")

    def abort(self) -> None:
        self.log.append("abort")

    def open(self) -> IO[bytes]:
        return _Breaking(self._content) if self._fails == "read" else io.BytesIO(self._content)


class _Breaking(io.BytesIO):
    """Gives half of its bytes, and then fails, however it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        half = len(self.getbuffer()) // 2
        wanted = half if size is None or size < 0 else size
        if self.tell() + wanted > half or size is None or size < 0:
            raise OSError(errno.EIO, "the source broke")
        return super().read(wanted)

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(size)

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        raise OSError(errno.EIO, "the source broke")


class _Begun:
    """Says when a sink has been given."""

    def __init__(self) -> None:
        self.event = threading.Event()

    @hookimpl(wrapper=True)
    def izzati_store(self) -> Generator[None, Any, Any]:
        sink = yield
        self.event.set()
        return sink


Use = Callable[[list[UploadedFile], Request], T]


def _handle(
    plugins: Sequence[Any], uploads: Sequence[tuple[str, Sequence[bytes]]], use: Use[T], held: Sink | None = None
) -> T:
    """One request with these uploads: what ``use`` returned or raised in its callback."""
    outcome: Future[T] = Future()

    def callback(text: dict[str, Any], data: list[UploadedFile], *, request: Request) -> dict[str, Any]:
        try:
            outcome.set_result(use(data, request))
        except BaseException as error:
            outcome.set_exception(error)
        return {}

    backend = Backend(callback, plugins=[_Scripted(uploads, held, refuses=False), *plugins], only=())
    response = Client(backend).post("/", data=b"x", content_type="application/x-izzati-test", buffered=True)
    assert outcome.done(), f"the callback was not called: {response.status} {response.text}"
    result = outcome.result(0)
    assert response.status_code == 200, f"the request failed after its callback: {response.status} {response.text}"
    return result


def _refused(plugins: Sequence[Any], uploads: Sequence[tuple[str, Sequence[bytes]]], held: Sink | None = None) -> int:
    """One request with these uploads that must not reach its callback: the status of its answer."""

    def callback(text: dict[str, Any], data: list[UploadedFile]) -> None:
        raise AssertionError("the request was not refused")

    backend = Backend(callback, plugins=[_Scripted(uploads, held, refuses=held is None), *plugins], only=())
    response = Client(backend).post("/", data=b"x", content_type="application/x-izzati-test", buffered=True)
    return int(response.status_code)


def _save(plugin: Any, content: bytes, location: str) -> str:
    return _handle([plugin], [("a.bin", [content])], lambda files, request: files[0].save(location))


def _open(plugin: Any, location: str) -> StoredFile:
    return _handle([plugin], [], lambda files, request: request.open(location))


def _opened(plugin: Any, location: str) -> bytes:
    return _read(_open(plugin, location))


# Small things ---------------------------------------------------------------------------------------------------------


def _can(plugin: Any, method: str) -> bool:
    if isinstance(plugin, Storage):
        return getattr(type(plugin), method) is not getattr(Storage, method)
    return hasattr(plugin, {"sink": "izzati_store"}.get(method, f"izzati_{method}"))


def _need(plugin: Any, *methods: str) -> None:
    for method in methods:
        if not _can(plugin, method):
            pytest.skip(f"{type(plugin).__name__} does not override {method}()")


def _listed(kept: Callable[[], Iterable[object]]) -> list[str]:
    return sorted(map(str, kept()))


def _siblings(folder: Path) -> list[str]:
    """What is beside the test's own folder: where one ``..`` too many leads."""
    return sorted(path.name for path in folder.parent.iterdir())


def _read(file: StoredFile) -> bytes:
    with file.stream as stream:
        return bytes(stream.read())


def _same(found: bytes, content: bytes) -> bool:
    """Compares large contents; pytest would explain their difference at length."""
    return found == content


def _in_blocks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


def _digest(text: dict[str, Any], data: list[UploadedFile]) -> str:
    digest = hashlib.sha256()
    for block in iter(lambda: data[0].read(64 * 1024), b""):
        digest.update(block)
    return digest.hexdigest()


def _traced(act: Callable[[], T]) -> tuple[T, int]:
    """What it returned, and how many bytes of memory Python took for it at most."""
    ours = not tracemalloc.is_tracing()
    if ours:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        return act(), tracemalloc.get_traced_memory()[1] - before
    finally:
        if ours:
            tracemalloc.stop()
