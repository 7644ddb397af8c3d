"""The report of the course as it prints, and what each step wrote."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel

from hepatica.case.layout import STEPS
from hepatica.case.pictures import keep_picture
from hepatica.core.text.files import json_file
from hepatica.errors import InputError, UnknownNameError
from hepatica.report.html import html_page
from hepatica.report.pdf import pdf_page
from hepatica.web.application import Workbench, workbench_of
from hepatica.web.gate import DOCUMENT_POLICY

router = APIRouter()
Bench = Annotated[Workbench, Depends(workbench_of)]

SHOWN_FILES = {
    ".html": "text/html; charset=utf-8", ".pdf": "application/pdf", ".png": "image/png", ".svg": "image/svg+xml",
    ".csv": "text/csv; charset=utf-8", ".json": "application/json",
}  # fmt: skip
"""Files of a step that a browser shows; each under a policy that lets it run nothing."""


@router.get("/cases/{key}/report.html")
def report_html(key: str, bench: Bench) -> Response:
    """The report of the course."""
    return Response(html_page(_document(key, bench)), media_type=SHOWN_FILES[".html"], headers=_policy())


@router.get("/cases/{key}/report.pdf")
def report_pdf(key: str, bench: Bench) -> Response:
    """The same, as it prints."""
    return Response(pdf_page(_document(key, bench)), media_type=SHOWN_FILES[".pdf"], headers=_policy())


def _document(key: str, bench: Workbench) -> Any:
    return bench.desk[key].case.report().document()


class Shot(BaseModel):
    """A picture of the viewer: PNG in base 64, what it shows, who keeps it."""

    png: str
    caption: str
    by: str


@router.post("/cases/{key}/pictures")
def keep_shot(key: str, said: Shot, bench: Bench) -> dict[str, str]:
    """Keep a picture in the case: it stands in the report of the course."""
    try:
        png = base64.b64decode(said.png, validate=True)
    except ValueError:
        raise InputError("the picture is not in base 64") from None
    return {"file": keep_picture(bench.desk[key].folder, png, said.caption, said.by)}


@router.get("/cases/{key}/steps/{step}")
def step_result(key: str, step: str, bench: Bench) -> dict[str, Any]:
    """What a step found: its messages, its inputs, and files that can be shown."""
    situation = bench.desk[key].situation()
    if step not in situation.steps:
        raise UnknownNameError("step", step, situation.steps)
    place = situation.folder / STEPS / step
    if step not in situation.records:
        return {"step": step, "files": [], "messages": [], "inputs": []}
    record = situation.records[step]
    content = json_file(place / "result.json")
    files = sorted(path.name for path in place.iterdir() if path.suffix in SHOWN_FILES and path.name != "step.json")
    return {
        "step": step,
        "files": files,
        "messages": content.get("messages", []),
        "inputs": [{"option": word, "source": source} for word, (source, _) in sorted(record.inputs.items())],
    }


@router.get("/cases/{key}/steps/{step}/files/{name}")
def step_file(key: str, step: str, name: str, bench: Bench) -> Response:
    """One file of a step; only names that the folder lists, so that no path leads out of it."""
    situation = bench.desk[key].situation()
    place = situation.folder / STEPS / step
    known = [path.name for path in place.iterdir() if path.is_file()] if step in situation.records else []
    suffix = "." + name.rsplit(".", 1)[-1]
    if name not in known or suffix not in SHOWN_FILES or (place / name).is_symlink():
        raise UnknownNameError("file", name, [one for one in known if "." + one.rsplit(".", 1)[-1] in SHOWN_FILES])
    return FileResponse(place / name, media_type=SHOWN_FILES[suffix], headers=_policy())


def _policy() -> dict[str, str]:
    return {"content-security-policy": DOCUMENT_POLICY}
