"""Every code block of the documentation runs, in order, page by page.

A page's ``python`` blocks share one namespace; of its ``console`` blocks each line that starts with ``$ hepatica`` is
run. They run in a folder that holds what ``make demo`` leaves there: ``demo-output/patient`` with CT, PET and RTSTRUCT,
and the tables of ``docs/examples``. The page of all verbs runs in ``test_same_answer.py``, block by block.
"""

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest

from command_line import hepatica

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = ROOT / "docs" / "verbs.md"
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").rglob("*.md") if page != ELSEWHERE)]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def demo_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``demo-output/patient``, made once."""
    from hepatica.io.virtual.demo import write_demo_patient

    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(ROOT / "docs" / "examples", folder / "examples")
    write_demo_patient(
        folder / "demo-output" / "patient", ct_spacing_mm=(8.0, 8.0, 6.0), pet_spacing_mm=(6.0, 6.0, 6.0)
    )
    return folder


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in BLOCK.finditer(page.read_text())]


def run_console(text: str, folder: Path) -> None:
    for line in text.splitlines():
        if not line.startswith("$ hepatica"):
            continue
        done = hepatica(*shlex.split(line[2:], comments=True)[1:], cwd=folder)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def check_session(text: str, page: Path, namespace: dict[str, object]) -> None:
    """A block with prompts: what it prints must be what it says."""
    test = doctest.DocTestParser().get_doctest(text, namespace, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, clear_globs=False)
    namespace.update(test.globs)
    assert runner.failures == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_page(page: Path, demo_patient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(page)
    if not found:
        pytest.skip("no code on this page")
    shutil.copytree(demo_patient, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "docs"}
    for language, text in found:
        if language == "console":
            run_console(text, tmp_path)
        elif ">>> " in text:
            check_session(text, page, namespace)
        else:
            exec(compile(text, str(page), "exec"), namespace)


def test_the_gate_sees_code() -> None:
    assert sum(len(blocks(page)) for page in PAGES) > 5
