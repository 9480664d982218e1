"""The garbage collector waits while a large body becomes values, and is afterwards as it was."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from izzati import Codec

SMALL, LARGE = b"x", b"x" * 1_000_000


class Asking(Codec):
    """Says whether the collector is at work while it decodes."""

    reads = ("application/x-asking",)

    def decode(self, body, request):
        return {"collects": gc.isenabled()}


@pytest.fixture
def ask(serve):
    served = serve(lambda text, data: text, plugins=[Asking()])

    def call(body):
        return served.request(body=body, headers={"Content-Type": "application/x-asking"}).json["collects"]

    call.served = served
    return call


def test_it_waits_while_a_large_body_is_decoded_and_not_for_a_small_one(ask):
    assert ask(LARGE) is False
    assert gc.isenabled()
    assert ask(SMALL) is True


@pytest.mark.parametrize("rest", [SMALL, LARGE], ids=["small", "large"])
def test_it_waits_while_the_parts_of_a_large_form_are_decoded(ask, rest):
    begin = b'--b\r\nContent-Disposition: form-data; name="'
    asking = begin + b'asking"\r\nContent-Type: application/x-asking\r\n\r\nx\r\n'
    form = asking + begin + b'rest"\r\n\r\n' + rest + b"\r\n--b--\r\n"
    answer = ask.served.request(body=form, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.json["asking"] == {"collects": rest == SMALL}


def test_a_program_that_has_switched_it_off_finds_it_off(ask):
    gc.disable()
    try:
        ask(LARGE)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_a_program_has_frozen_stays_frozen(ask):
    gc.freeze()
    try:
        ask(LARGE)
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process is forked here")
def test_it_is_at_work_in_a_process_that_was_forked_meanwhile():
    source = """if True:
        import gc, os
        from izzati import collector_paused
        with collector_paused(1 << 20), collector_paused(1 << 20):
            child = os.fork()
            if not child:
                with collector_paused(1 << 20):
                    pass
                os._exit(10 + gc.isenabled())
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(ended, gc.isenabled())
    """
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, timeout=30)
    assert done.stdout.split() == [b"11", b"True"]
