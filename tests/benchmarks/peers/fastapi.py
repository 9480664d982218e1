"""FastAPI: bodies and fields as parameters; what is returned is JSON; ``FileResponse``."""

from typing import Annotated, Any

from fastapi import FastAPI, Form, UploadFile
from fastapi.responses import FileResponse
from jobs import SENT

app = FastAPI()


@app.post("/json")
async def answer_json(body: dict[str, Any]):
    return body


@app.post("/form")
async def answer_form(name: Annotated[str, Form()], breed: Annotated[str, Form()], note: Annotated[str, Form()]):
    return {"name": name, "breed": breed, "note": note}


@app.post("/upload")
async def answer_upload(name: Annotated[str, Form()], note: Annotated[str, Form()], file: UploadFile):
    return {"name": name, "note": note, "size": file.size}


@app.post("/file")
async def answer_file():
    return FileResponse(SENT)
