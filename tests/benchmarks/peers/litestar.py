"""Litestar: what a handler's ``data`` is declared to be; ``File`` responses."""

import os
from typing import Annotated, Any

from jobs import SENT
from litestar import Litestar, post
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import File

Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
Multipart = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]


@post("/json")
async def answer_json(data: dict[str, Any]) -> dict[str, Any]:
    return data


@post("/form")
async def answer_form(data: Form) -> dict[str, Any]:
    return data


@post("/upload", request_max_body_size=1 << 30)
async def answer_upload(data: Multipart) -> dict[str, Any]:
    return {"name": data["name"], "note": data["note"], "size": data["file"].file.seek(0, os.SEEK_END)}


@post("/file")
async def answer_file() -> File:
    return File(SENT)


app = Litestar(route_handlers=[answer_json, answer_form, answer_upload, answer_file])
