"""Fixtures: keys, an issuer that publishes one of them, and a file of passwords."""

from __future__ import annotations

import pytest
from issuing import Issuer, Key, entry

pytest_plugins = ["izzati.testing"]


@pytest.fixture(scope="session")
def rsa_key():
    return Key.rsa("first")


@pytest.fixture(scope="session")
def other_rsa_key():
    return Key.rsa("second")


@pytest.fixture(scope="session")
def ec_key():
    return Key.ec("curve")


@pytest.fixture
def issuer(rsa_key):
    """An issuer of tokens that publishes one key."""
    with Issuer(rsa_key) as issuer:
        yield issuer


@pytest.fixture
def passwords(tmp_path):
    """A file of passwords: that of ann is "a cat", that of jürgen "größe: 1"."""
    path = tmp_path / "htpasswd"
    path.write_text("# who may call\n\n" + entry("ann", "a cat") + entry("jürgen", "größe: 1"), "utf-8")
    return path


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    """Neither an izzati.toml of the folder where the tests are run, nor a proxy between them and their issuer."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
