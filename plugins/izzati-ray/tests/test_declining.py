"""Where the work does not go to a cluster, and what is refused before it does."""

from __future__ import annotations

import threading

import izzati_ray
import pytest
from helpers import idle
from izzati_ray import Ray

from izzati import BackgroundError, BackgroundOptions, background


def ask(plugin, target=idle, args=(), **options):
    return plugin.izzati_background(target=target, args=args, kwargs={}, options=BackgroundOptions(**options))


def test_without_an_address_it_declines():
    assert ask(Ray()) is None


def test_an_empty_address_in_the_environment_is_none(monkeypatch):
    monkeypatch.setenv("IZZATI_RAY_ADDRESS", "")
    process, _ = background(idle)
    process.kill()
    process.join()
    assert process.exitcode == -9


def test_what_must_stay_on_this_machine_is_declined_even_with_an_address():
    assert ask(Ray("127.0.0.1:1"), local=True) is None


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265"])
def test_an_address_of_another_protocol_is_refused_with_those_that_can_be_used(address):
    with pytest.raises(ValueError, match=r"it takes 'auto', or host and port of the cluster's head"):
        Ray(address)


def test_a_resource_that_ray_does_not_know_is_refused_with_those_that_it_knows():
    with pytest.raises(BackgroundError, match=r"got num_gpu, which Ray does not know; it takes .*num_gpus"):
        ask(Ray("127.0.0.1:1"), resources={"num_gpu": 1})


def test_an_argument_that_cannot_be_pickled_is_refused_with_what_to_do():
    with pytest.raises(BackgroundError, match=r"idle, or an argument of it, cannot be sent .* connections and files"):
        ask(Ray("127.0.0.1:1"), args=(threading.Lock(),))


def test_where_ray_has_no_build_the_error_says_how_to_go_on(monkeypatch):
    monkeypatch.setattr(izzati_ray, "find_spec", lambda name: None)
    with pytest.raises(BackgroundError, match="unset IZZATI_RAY_ADDRESS"):
        ask(Ray("127.0.0.1:1"))
