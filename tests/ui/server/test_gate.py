"""What the gate in front of Gradio's server lets through, with a small page behind it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from errno import ENOSPC
from typing import Any, cast

import gradio as gr
import httpx
import pytest
from helpers.served import free_port
from hypothesis import given, settings
from hypothesis import strategies as st

from poseanimate.ui import texts
from poseanimate.ui.server.launch import serve
from poseanimate.ui.server.page_blocks import PageBlocks, element_id

API, JSON = "/gradio_api/", {"content-type": "application/json"}


def fail() -> None:
    raise RuntimeError("a secret")


def fill() -> None:
    try:
        raise OSError(ENOSPC, "a secret")
    except OSError as error:
        raise ValueError("postprocessing failed") from error


def page() -> PageBlocks:
    with PageBlocks(analytics_enabled=False) as blocks:
        frames = gr.Slider(2, 240, value=5, step=1, elem_id=element_id("frames"))
        number = gr.Number(1, minimum=0, label="Start")
        text, choice = gr.Textbox(), gr.Radio(["a", "b"], label="Letters")
        flag, joints, state = gr.Checkbox(), gr.HTML(), gr.State(None)
        direct: dict[str, Any] = {"queue": False, "api_visibility": "private"}
        inputs = [frames, number, text, choice, flag, joints, state]
        gr.on([text.change], lambda *values: str(values), inputs, text, api_name="echo", **direct)
        gr.on([flag.change], fail, None, None, api_name="fail", **direct)
        gr.on([flag.change], fill, None, None, api_name="fill", **direct)
        gr.on([flag.change], fn=None, js="() => 1", inputs=None, outputs=number, **direct)
        gr.on(
            [flag.change],
            lambda value: value,
            text,
            text,
            api_name="queued",
            api_visibility="private",
        )
        gr.api(shout, api_name="shout")
    blocks.engine, blocks.counts = cast(Any, None), cast(Any, None)  # nobody asks how it is
    blocks.queue(api_open=False)
    return blocks


def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    demo = page()
    try:
        _, url, _ = serve(demo, server_port=free_port(), prevent_thread_lock=True, quiet=True)
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            yield client
    finally:
        demo.close()


VALUES = [5, 1.0, "a", "b", True, "", None]


def echo(client: httpx.Client, *changed: tuple[int, Any]) -> Any:
    values = list(VALUES)
    for place, value in changed:
        values[place] = value
    body = json.dumps({"data": values, "session_hash": "s"})
    return client.post(f"{API}run/echo", content=body, headers=JSON)


def test_a_body_that_does_not_say_it_is_json_is_refused(client: httpx.Client) -> None:
    body = json.dumps({"data": VALUES})
    for kind in ("text/plain", "", "multipart/form-data", "application/jsonp"):
        answer = client.post(f"{API}run/echo", content=body, headers={"content-type": kind})
        assert answer.status_code == 422 and "application/json" in answer.text


def test_what_the_page_sends_goes_through(client: httpx.Client) -> None:
    assert echo(client).json()["data"] == [str(tuple(VALUES))]
    named = client.post(f"{API}call/v2/shout", json={"text": "a", "times": 2})
    listed = client.post(f"{API}call/shout", json={"data": ["a", 2]})
    joined = client.post(
        f"{API}queue/join", json={"data": ["a"], "fn_index": 4, "session_hash": "s"}
    )
    assert all("event_id" in each.json() for each in (named, listed, joined))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, 999, "frames is 999, but must lie between 2 and 240."),
        (0, None, "frames is None, but must be a whole number."),
        (0, "5", "another kind"),
        (0, True, "another kind"),
        (1, -1, "Start: this number isn't possible. Enter one from 0."),
        (2, 5, "another kind"),
        (2, "\ud800", "broken characters"),
        (3, "c", "Letters doesn't offer this."),
        (3, ["a"], "another kind"),
        (4, 1, "another kind"),
        (5, {"a": 1}, "another kind"),
    ],
)
def test_values_that_cannot_be_get_a_sentence(
    client: httpx.Client, place: int, value: Any, said: str
) -> None:
    answer = echo(client, (place, value))
    assert answer.status_code == 422
    assert said in (answer.json().get("detail") or answer.json().get("error"))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("queue/join", {"data": [], "fn_index": 99, "session_hash": "s"}, 404),
        ("queue/join", {"data": [], "fn_index": 3, "session_hash": "s"}, 404),  # the browser's own
        ("queue/join", {"data": ["a"], "fn_index": True, "session_hash": "s"}, 404),
        ("queue/join", {"data": ["a", "b"], "fn_index": 4, "session_hash": "s"}, 422),
        ("queue/join", {"data": "a", "fn_index": 4, "session_hash": "s"}, 422),
        ("queue/join", {"data": ["a"], "fn_index": 4}, 422),
        ("queue/join", {"data": ["a"], "fn_index": 4, "session_hash": "s" * 65}, 422),
        ("queue/join", {"data": ["a"], "fn_index": 4, "session_hash": "s", "trigger_id": 9**99}, 422),
        ("queue/join", {"data": ["a"], "fn_index": 4, "session_hash": "s", "batched": True}, 422),
        ("run/queued", {"data": ["a"]}, 404),
        ("call/none", {"data": []}, 404),
        ("call/v2/queued", {"value": "a"}, 404),  # private
        ("call/v2/shout", {"text": "a", "loud": 1}, 422),
        ("call/v2/shout", {}, 422),
        ("cancel", {"event_id": "a", "session_hash": "s"}, 422),
        ("component_server", {"data": 1}, 404),
        ("process_recording", {}, 404),
        ("stream/a/close", {}, 404),
    ],
)  # fmt: skip
def test_what_fits_no_function_is_refused(
    client: httpx.Client, path: str, body: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post(API + path, json=body)
    assert answer.status_code == status and answer.json()["detail"].endswith(".")
    [record] = [each for each in caplog.records if each.name.startswith("poseanimate")]
    assert record.getMessage().startswith("Refused: ") and len(record.getMessage()) < 80


def test_a_fault_behind_it_is_logged_once_and_not_shown(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = client.post(f"{API}run/fail", json={"data": [], "session_hash": "s"})
    assert (answer.status_code, answer.json()["error"]) == (500, texts.INTERNAL)
    assert [each.levelno for each in caplog.records if each.exc_info] == [logging.ERROR]
    assert "secret" not in "".join(capfd.readouterr())


def test_a_full_disk_gets_a_sentence_and_a_line(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post(f"{API}run/fill", json={"data": [], "session_hash": "s"})
    assert answer.json()["error"] == texts.NO_ROOM
    said = [each for each in caplog.records if each.name.startswith("poseanimate")]
    assert len(said) == 1 and not said[0].exc_info


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
KEYS = ["data", "fn_index", "session_hash", "event_id", "event_data", "trigger_id", "batched"]
bodies = st.one_of(
    json_values,
    st.dictionaries(st.sampled_from(KEYS), json_values),
    st.lists(json_values, min_size=7, max_size=7).map(
        lambda values: {"data": values, "fn_index": 0, "session_hash": "s"}
    ),
    st.fixed_dictionaries(
        {
            "data": st.tuples(*(st.just(each) | json_values for each in VALUES)),
            "session_hash": st.just("s"),
        },
        optional={"fn_index": st.just(0), "event_data": json_values, "trigger_id": st.integers()},
    ),
)
WAYS = ["queue/join", "run/echo", "api/echo", "run/predict", "call/echo", "call/shout"]
WAYS += ["call/v2/shout", "cancel", "reset", "run/\0", "component_server", "stream/a", "upload"]


# the server's thread uses `random` at any time, which Hypothesis takes for the strategies doing so
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@settings(max_examples=300)
@given(way=st.sampled_from(WAYS), body=bodies, raw=st.none() | st.binary(max_size=20))
def test_any_request_is_answered_without_a_fault(
    client: httpx.Client, way: str, body: Any, raw: bytes | None
) -> None:
    content = json.dumps(body).encode() if raw is None else raw
    answer = client.post(API + way.replace("\0", "%00"), content=content, headers=JSON)
    assert answer.status_code < 500


@pytest.mark.parametrize("path", ["/%00", "/a%0ab", "/" + "a" * 5000])
def test_addresses_that_are_none(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404
