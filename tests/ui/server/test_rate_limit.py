"""How often a visitor may ask for a run."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest

from poseanimate.errors import SettingsError
from poseanimate.ui.server.rate_limit import (
    HOUR_S,
    MAX_VISITORS,
    VARIABLE,
    RateLimit,
    visitor_address,
)


def request(host: str = "10.0.0.1", **headers: str) -> gr.Request:
    return gr.Request(session_hash="a", client={"host": host}, headers=headers)


def test_the_runs_of_an_hour_are_counted_by_visitor() -> None:
    clock = SimpleNamespace(now=0.0)
    rate = RateLimit(2, clock=lambda: clock.now)
    assert [rate.count(request()) for _ in range(2)] == ["", ""]
    assert "2 runs within an hour" in rate.count(request()) and "60 min" in rate.count(request())
    assert rate.count(request("10.0.0.2")) == "", "another visitor"
    clock.now = HOUR_S
    assert rate.count(request()) == "", "refused runs aren't counted"


def test_zero_is_as_many_as_wanted() -> None:
    rate = RateLimit(0)
    assert {rate.count(request()) for _ in range(1000)} == {""}


def test_visitors_are_forgotten_before_they_fill_the_memory() -> None:
    rate = RateLimit(1)
    for i in range(MAX_VISITORS + 10):
        rate.count(request(str(i)))
    assert len(rate._times) == MAX_VISITORS


def test_a_made_up_address_makes_no_new_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"x-forwarded-for": "1.2.3.4, 5.6.7.8"}
    assert visitor_address(request(**told)) == "10.0.0.1", "no proxy is known of"
    monkeypatch.setenv("SPACE_ID", "somebody/poseanimate")
    assert visitor_address(request(**told)) == "5.6.7.8", "the one that the proxy has seen"
    assert visitor_address(request()) == "10.0.0.1"


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert RateLimit.from_environment().runs_per_hour == 0
    monkeypatch.setenv("SPACE_ID", "somebody/poseanimate")
    assert RateLimit.from_environment().runs_per_hour == 60
    monkeypatch.setenv(VARIABLE, "7")
    assert RateLimit.from_environment().runs_per_hour == 7
    for wrong in ("many", "-1", "1.5", ""):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(SettingsError, match="whole number"):
            RateLimit.from_environment()
