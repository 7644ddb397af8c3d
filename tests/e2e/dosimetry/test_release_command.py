"""Going home after a treatment, by the command as a user runs it."""

from pathlib import Path

import pytest

from command_line import answer, hepatica


def test_release(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = answer(
        "release", "I-131", "2.2 GBq", "--agent", "lipiodol", "--administered-at", "2026-03-02T14:00", "--out", str(out)
    )
    assert not found["nrc"]["may_go"]
    assert found["nrc"]["table_activity_limit_gbq"] == pytest.approx(33 * 0.037)
    assert all(r["dose_with_msv"] <= r["constraint_msv"] for r in found["restrictions"])
    assert found["restrictions"][0]["until"] > "2026-03-02"
    assert (out / "sheet.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (out / "dose-rates.svg").read_text()


def test_release_prints_tables_and_messages() -> None:
    done = hepatica("release", "--nuclide", "Y-90", "--administered", "3 GBq", "--agent", "glass")
    assert done.returncode == 0
    assert "Going home" in done.stdout
    done = hepatica("release", "I-131", "2.2 GBq", "--agent", "lipiodol")
    assert "published effective" in done.stderr
