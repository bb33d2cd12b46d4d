"""ASGI middleware: requests that fit no function of the page are refused before Gradio reads them.

Gradio looks functions up and validates values late, and whatever then fails is a 500 with a traceback in the log. Here
what the page or a client would never send gets 404 or 422, a sentence, and one short line in the log, which names
neither who asked nor what.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poseanimate.settings import is_text
from poseanimate.ui import texts
from poseanimate.ui.server.page_blocks import is_full, refused

_log = logging.getLogger(__name__)

API, JOIN = "/gradio_api/", "queue/join"
DIRECT = ("run", "api")  # are answered at once, with what Gradio can write
SESSION = re.compile(r"[\w-]{1,64}", re.ASCII)
CALL = re.compile(r"(?P<way>run|api|call|call/v2)/(?P<name>[^/]+)")
JSON = "application/json"
MAX_PATH = 4000
MAX_NUMBER = 2**31
# what the page and programs post to; Gradio has more ways in
POSTED = ("queue", "run", "api", "call", "cancel", "reset", "upload", "mcp")
CLOSED = ("deep_link", "proxy=")  # write a file for whoever asks; fetch an address
READ_ALONE = ("GET", "HEAD", "OPTIONS")
Text, Number, Choice, File = (str,), (int, float), (str, int, float), (dict, list)
# what a component's value may be in JSON, beside null
KINDS: dict[type, tuple[type, ...]] = {
    gr.Textbox: Text,
    gr.HTML: Text,
    gr.BrowserState: Text,
    gr.Button: Text,
    gr.Checkbox: (bool,),
    gr.Slider: Number,
    gr.Number: Number,
    gr.Timer: (*Number, dict),
    gr.Radio: Choice,
    gr.Dropdown: Choice,
    gr.CheckboxGroup: (list,),
    gr.File: File,
    gr.Image: File,
    gr.Video: File,
}


class Refusal(Exception):
    """A request that is answered here.

    Args:
        status: of the answer. about: for the log; never anything that was sent.
    """

    def __init__(self, status: int, sentence: str, about: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.about = status, sentence, about


class Gate:
    """Refuses what fits no function of a page, and ends what fails behind it with a sentence."""

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self.app, self.page = app, page
        self._parameters: dict[str, list[dict[str, Any]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False
        said = list[str]()
        token = refused.set(said)

        async def send_marked(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if message["status"] == 500 and said:
                    message = {**message, "status": 422}
                    _log.warning("Refused: a value that can't be used.")
            await send(message)

        try:
            await self.app(scope, await self._checked(scope, receive), send_marked)
        except Refusal as refusal:
            _log.warning("Refused: %s.", refusal.about)
            answer = JSONResponse({"detail": refusal.sentence}, refusal.status)
            await answer(scope, receive, send)
        except HTTPException as error:  # from a limit, while the body was read here
            answer = JSONResponse({"detail": error.detail}, error.status_code)
            await answer(scope, receive, send)
        except ClientDisconnect:  # in the middle of its body
            pass
        except Exception as error:
            _log.error("A request failed: %s.", _place(error))
            if not started:
                detail, status = (texts.NO_ROOM, 507) if is_full(error) else (texts.INTERNAL, 500)
                await JSONResponse({"detail": detail}, status)(scope, receive, send)
        finally:
            refused.reset(token)

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """What the request's body is read from from now on.

        Raises:
            Refusal: it fits nothing.
        """
        path = scope["path"].strip("/")
        if not path.isprintable() or len(path) > MAX_PATH:
            raise Refusal(404, "There is no such page.", "an address that is none")
        _, api, at = f"/{path}".partition(API)
        way, reads = at.partition("/")[0], scope["method"] in READ_ALONE
        if api and (at.startswith(CLOSED) or (not reads and way not in POSTED)):
            raise Refusal(404, "The page has no such way in.", "a way in that is closed")
        if reads or not api or way in ("upload", "mcp"):
            return receive
        if Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise Refusal(
                422, f"The request's Content-Type isn't {JSON}.", "a body that is no JSON"
            )
        body = await _read(receive)
        call = CALL.fullmatch(at)
        if at in ("cancel", "reset"):
            _check_ending(_object(body), at)
        elif call and call["way"] == "call/v2":
            self._check_named(call["name"], _object(body))
        elif call or at == JOIN:
            request = _object(body)
            self._check_call(request, *call.groups() if call else (JOIN, ""))
        return _again(body, receive)

    def _check_call(self, request: dict[str, Any], way: str, name: str) -> None:
        """A call of a function by its number or name."""
        _check_session(request.get("session_hash"), needed=way == JOIN)
        number = request.get("fn_index")
        fns: Mapping[int, Any] = self.page.fns
        if number is None:
            fn = next((each for each in fns.values() if each.api_name == name), None)
        else:
            fn = fns.get(number) if type(number) is int else None
        if fn is None or fn.fn is None:  # the browser's own
            raise Refusal(404, texts.NO_FUNCTION, "a function that is none")
        if way in DIRECT and fn.queue:
            raise Refusal(404, "Please join the queue to call this.", "a call past the queue")
        values = request.get("data")
        if not isinstance(values, list):
            raise Refusal(422, "The values are no list.", "values that are no list")
        inputs = list(fn.inputs)
        if way != JOIN and len(values) != len(inputs):
            inputs = [each for each in inputs if not each.skip_api]
        if len(values) != len(inputs):
            sentence = f"There are {len(values)} values, but must be {len(inputs)}."
            raise Refusal(422, sentence, "another number of values")
        for each, value in zip(inputs, values, strict=True):
            kinds = KINDS.get(type(each))
            if value is None or kinds is None or type(value) in kinds:
                continue
            raise Refusal(422, texts.another_kind(each.label), "a value of another kind")
        if way in DIRECT and not is_text(json.dumps(values, ensure_ascii=False)):
            raise Refusal(422, "A text has broken characters. Enter it again.", "a broken text")
        for key, kind in (("trigger_id", int), ("event_id", str), ("simple_format", bool)):
            if request.get(key) is not None and type(request[key]) is not kind:
                raise Refusal(422, f"{key} is of another kind.", "a field of another kind")
        if request.get("trigger_id") is not None and abs(request["trigger_id"]) > MAX_NUMBER:
            raise Refusal(422, "trigger_id is too large.", "a field that is too large")
        if request.get("batched") or request.get("oauth_token"):
            raise Refusal(422, "There are fields that no function takes.", "unknown fields")

    def _check_named(self, name: str, values: dict[str, Any]) -> None:
        """A call of a public endpoint with named values."""
        if not self._parameters:
            endpoints = self.page.get_api_info()["named_endpoints"]
            self._parameters = {
                each.strip("/"): about["parameters"] for each, about in endpoints.items()
            }
        if name not in self._parameters:
            raise Refusal(404, texts.NO_FUNCTION, "a function that is none")
        parameters = self._parameters[name]
        known = {each["parameter_name"] for each in parameters}
        needed = {
            each["parameter_name"] for each in parameters if not each["parameter_has_default"]
        }
        if unknown := values.keys() - known:
            sentence = f"There is no argument {min(unknown)!a:.40}."
            raise Refusal(422, sentence, "an argument that is none")
        if missing := needed - values.keys():
            sentence = f"The argument {min(missing)} is missing."
            raise Refusal(422, sentence, "a missing argument")


def _check_session(session: Any, needed: bool) -> None:
    """A session's name, which Gradio keeps."""
    if session is None and not needed:
        return
    if not isinstance(session, str) or not SESSION.fullmatch(session):
        raise Refusal(422, "The session has no proper name.", "a session without a proper name")


def _check_ending(request: dict[str, Any], way: str) -> None:
    """A request to end an event."""
    number = request.get("fn_index") if way == "cancel" else 0
    if type(number) is not int or abs(number) > MAX_NUMBER:
        raise Refusal(422, "fn_index is no number.", "a field of another kind")
    _check_session(request.get("event_id"), needed=True)
    _check_session(request.get("session_hash"), needed=way == "cancel")


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise Refusal(422, "The request is no JSON object.", "a body that is no JSON object")
    return request


async def _read(receive: Receive) -> bytes:
    """The whole body."""
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A body that was read, to be read once more."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _place(error: Exception) -> str:
    """Which error, and where, in few words."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = (
        ""
        if trace is None
        else f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    )
    return type(error).__name__ + where
