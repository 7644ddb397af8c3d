"""The application: its routes, its files, and how an error of hepatica is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from hepatica.core.options import word_of
from hepatica.core.text.visible import visible
from hepatica.errors import HepaticaError, OutputError, UnknownNameError
from hepatica.web.desk import Desk
from hepatica.web.gate import Gate, Keys
from hepatica.web.once import Once
from hepatica.web.runs import Runs

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Workbench:
    """What every route needs.

    Attributes
    ----------
    desk : Desk
        Cases.
    runs : Runs
        Steps that run.
    """

    desk: Desk
    runs: Runs = field(default_factory=Runs)

    def close(self) -> None:
        """Stop what runs, and let all cases go."""
        self.runs.close()
        self.desk.close()


def application(workbench: Workbench, keys: Keys) -> Gate:
    """The whole as one ASGI application, behind its gate."""
    from hepatica.web.routes import (
        cases,
        drawing,
        forms,
        histograms,
        images,
        measures,
        monitoring,
        plans,
        registrations,
        reports,
    )

    app = FastAPI(title="hepatica workbench", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.workbench = workbench
    views = (cases, images, measures, histograms, plans, drawing, registrations, monitoring, forms, reports)
    for routes in views:
        app.include_router(routes.router, prefix="/api")
    app.add_exception_handler(HepaticaError, _told)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_route("/", _page)
    app.mount("/", StaticFiles(directory=STATIC), name="static")
    return Gate(Once(app), keys, workbench.desk.touch)


async def _page(request: Request) -> FileResponse:
    return FileResponse(STATIC / "index.html")


async def _told(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HepaticaError)
    status = 404 if isinstance(error, UnknownNameError) else 409 if isinstance(error, OutputError) else 422
    text = visible(error.args[0]) if error.args else type(error).__name__

    def plain(name: str) -> str:
        return word_of(name).replace("_", " ")

    from hepatica.errors import worded

    content = {"error": worded(str(text), plain), "remedy": worded(visible(error.remedy), plain)}
    return JSONResponse(content, status)


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = sorted({".".join(str(part) for part in fault["loc"]) for fault in error.errors()})
    return JSONResponse({"error": f"the request is not as it should be: {', '.join(places)}", "remedy": ""}, 400)


def workbench_of(request: Request) -> Workbench:
    """The workbench that a request belongs to."""
    found: Workbench = request.app.state.workbench
    return found
