"""The terminal of ``bootstrap``, ``uninstall`` and ``doctor --fix``, and what the settings tell them."""

from __future__ import annotations

import io
import sys
from typing import cast

import pytest
import typer

from app.cli.site import LiveSite
from app.cli.terminal import LineTerminal, this_command
from app.cluster.client.connection import Connection
from app.cluster.client.objects import Objects
from app.cluster.client.server import ClusterServer
from app.cluster.probe.prober import Prober
from app.errors import InputError, SettingsError
from app.install.ports import GuardSettings, Tone
from app.names import FailurePolicy
from tests.install.store import MemoryStore


class Screen(io.StringIO):
    """A stream that is a terminal; somebody typed what it holds."""

    def isatty(self) -> bool:
        """Tell that it is one."""
        return True


@pytest.fixture
def coloured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Return what is printed, with its colours."""
    found: list[tuple[str, str | None]] = []

    def secho(text: str, *, fg: str | None = None, bold: bool = False) -> None:  # noqa: ARG001 - the library's
        found.append((text, fg))

    monkeypatch.setattr(typer, "secho", secho)
    return found


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Screen(text))


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)])
def test_an_answer_is_yes_only_where_somebody_says_so(
    monkeypatch: pytest.MonkeyPatch, typed: str, answer: object
) -> None:
    type_in(monkeypatch, typed)
    assert LineTerminal().confirm("Make these changes?") is answer


def test_where_nobody_can_answer_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(InputError, match="nobody can be asked here: say --yes to go on, or --dry-run"):
        LineTerminal().confirm("Make these changes?")


def test_diffs_troubles_and_success_are_in_colour(coloured: list[tuple[str, str | None]]) -> None:
    terminal = LineTerminal()
    terminal.show(["    +  added", "    -  removed", "    @@ 1", "- no diff"])
    terminal.show(["Stopped"], Tone.BAD)
    terminal.show(["Guarded"], Tone.GOOD)
    assert [colour for _, colour in coloured] == ["green", "red", "cyan", None, "red", "green"]


def test_elsewhere_there_are_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    LineTerminal().show(["    +  added", "* create it"])
    LineTerminal().show(["Stopped"], Tone.BAD)
    assert capsys.readouterr().out == "    +  added\n* create it\nStopped\n"


def test_how_it_went_is_red_where_it_did_not_go_well(coloured: list[tuple[str, str | None]]) -> None:
    for how in ("done", "failed", "interrupted"):
        LineTerminal().end(how)
    assert coloured == [("done", "green"), ("failed", "red"), ("interrupted", "red")]


def test_a_step_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    LineTerminal().begin("wait for the guard")
    LineTerminal().end("done")
    assert capsys.readouterr().out == "wait for the guard ... done\n"


def test_the_command_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/app", "bootstrap", "--image", "a b"])
    assert this_command() == "netpol-guard bootstrap --image 'a b'"


def settings_of(text: str | None) -> GuardSettings:
    """Return what a site makes of the guard's settings; None: there are none."""
    metadata = {"name": "netpol-guard-settings", "namespace": "netpol-guard"}
    found = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"settings.yaml": text},
    }
    store = MemoryStore() if text is None else MemoryStore.of(found)
    nobody = object()
    site = LiveSite(
        cast("Connection", nobody),
        cast("Objects", store),
        cast("ClusterServer", nobody),
        cast("Prober", nobody),
    )
    return site.guard_settings()


@pytest.mark.parametrize("text", [None, "", "# nothing\n"])
def test_settings_that_say_nothing_are_the_strict_ones(text: str | None) -> None:
    assert settings_of(text) == GuardSettings(
        mode="enforce", exempt=frozenset(), tells_no_effect=True, failure_policy=FailurePolicy.FAIL
    )


def test_what_the_settings_say_is_what_the_self_test_expects() -> None:
    text = "mode: warn\nnoEffect: off\nexempt: {namespaces: [a]}\nwebhook: {failurePolicy: Ignore}\n"
    assert settings_of(text) == GuardSettings(
        mode="warn",
        exempt=frozenset({"a"}),
        tells_no_effect=False,
        failure_policy=FailurePolicy.IGNORE,
    )


def test_settings_that_cannot_be_used_are_named() -> None:
    with pytest.raises(SettingsError, match="netpol-guard-settings"):
        settings_of("mode: nonsense")
