"""Starlette: ``request.json`` and ``form``; ``JSONResponse`` and ``FileResponse``."""

from jobs import SENT
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route


async def answer_json(request):
    return JSONResponse(await request.json())


async def answer_form(request):
    async with request.form() as form:
        return JSONResponse(dict(form))


async def answer_upload(request):
    async with request.form() as form:
        return JSONResponse({"name": form["name"], "note": form["note"], "size": form["file"].size})


async def answer_file(request):
    return FileResponse(SENT)


app = Starlette(
    routes=[
        Route("/json", answer_json, methods=["POST"]),
        Route("/form", answer_form, methods=["POST"]),
        Route("/upload", answer_upload, methods=["POST"]),
        Route("/file", answer_file, methods=["POST"]),
    ]
)
