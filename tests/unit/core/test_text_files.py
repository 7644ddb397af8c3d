"""JSON, TOML and plain text from files: what is none is refused with file and line, however it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from hepatica.core.text.files import json_file, text_file, toml_text
from hepatica.errors import InputError


def put(folder: Path, content: bytes) -> Path:
    path = folder / "a.json"
    path.write_bytes(content)
    return path


def test_sound_files_are_read(tmp_path: Path) -> None:
    assert json_file(put(tmp_path, b'{"a": [1, 2.5, null, true, "x"]}')) == {"a": [1, 2.5, None, True, "x"]}
    assert json_file(put(tmp_path, b'\xef\xbb\xbf{"a": -9223372036854775807}')) == {"a": -(2**63) + 1}
    assert text_file(put(tmp_path, "µ\r\n".encode())) == "µ\r\n"
    assert toml_text("a = 9223372036854775807\n[b]\nc = [nan]", tmp_path)["a"] == 2**63 - 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is no number of JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": 1' + b"0" * 400 + b"}", "too large for a whole number"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        (b'{\n"a": 1,\n}', "line 3"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16, not UTF-8"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32, not UTF-8"),
        (b'{\n"a": "\xe4"}', r"a.json, line 2: not a JSON file \(not UTF-8"),
        (b'{\n\n"a": "\0"}', "a.json, line 3: .* NUL"),
        (b"", "not a JSON file"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        json_file(put(tmp_path, content))
    assert "a.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("a = " + "{b=" * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "not a TOML file"),
        ("[x]\na = 9223372036854775808", "a: a whole number beyond 64 bits"),
        ("a = 0x" + "F" * 5000, "beyond 64 bits"),
        ("a = 1\nb = = 2", "line 2"),
    ],
)
def test_what_is_no_toml_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        toml_text(text, Path("plan.toml"))
    assert str(caught.value).startswith("plan.toml: ")


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"none.json: cannot be read \(No such file"):
        text_file(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        text_file(tmp_path)
    monkeypatch.setattr("hepatica.core.text.files.MAX_TEXT_BYTES", 10)
    assert text_file(put(tmp_path, b"x" * 10)) == "x" * 10
    for path in (put(tmp_path, b"x" * 11), Path("/dev/zero")):
        if path.exists():
            with pytest.raises(InputError, match="not a table"):
                text_file(path, "a table")
