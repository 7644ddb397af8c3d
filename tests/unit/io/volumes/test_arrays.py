"""NumPy archives: what was saved comes back, what is damaged or swollen is refused with file and array."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.core import Grid
from hepatica.errors import InputError
from hepatica.imaging.reconstruct.resampling import Ensemble
from hepatica.io.arrays import Wanted, read_arrays
from hepatica.io.checkpoint import Checkpoint
from hepatica.io.replicates import load_replicates, save_replicates

WANTED = {"image": Wanted("f", 3), "key": Wanted("U", 0), "extra": Wanted("f", 1, optional=True)}
IMAGE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "a.npz"
    np.savez_compressed(path, **({"image": IMAGE, "key": "abc"} | arrays))
    return path


def member(values: Any, change: Any = lambda content: content) -> bytes:
    out = io.BytesIO()
    np.save(out, values)
    return change(out.getvalue())


def packed(folder: Path, image: bytes) -> Path:
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", image)
        archive.writestr("key.npy", member("abc"))
    return path


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    found = read_arrays(saved(tmp_path, image=np.asfortranarray(IMAGE)), WANTED)
    assert np.array_equal(found["image"], IMAGE)
    assert str(found["key"]) == "abc"
    assert "extra" not in found


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (member(IMAGE[0]), r"image: cannot be read \(is an array of float32 and shape \(3, 4\)"),
        (member(IMAGE.astype(int)), "is an array of int64"),
        (member(IMAGE, lambda c: c[:-8]), "claims 24 numbers of float32 in 88 bytes"),
        (member(IMAGE, lambda c: c + b"\0" * 8), "claims 24 numbers"),
        (member(IMAGE, lambda c: c.replace(b"(2, 3, 4)", b"(2,3,4e9)")), "image"),
        (member(IMAGE, lambda c: c.replace(b"'<f4'", b"'|O' ")), "image"),
        (member(IMAGE, lambda c: c[:8] + b"\xff\xff" + c[10:]), "image"),
        (member(IMAGE, lambda c: c.replace(b"(2, 3, 4)", b"(2, 3, 4(")), "image"),
        (b"   " * 1000, "image"),
        (b"", "image"),
        (member(np.where(IMAGE == 5, np.nan, IMAGE)), "image: holds a number that is not finite"),
    ],
)  # fmt: skip
def test_a_damaged_array_is_refused(tmp_path: Path, image: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_arrays(packed(tmp_path, image), WANTED)
    assert "a.npz" in str(caught.value)


def test_a_swollen_member_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path, extra=np.zeros(1_000_000))
    with pytest.raises(InputError, match=r"extra: cannot be read .claims 8000128 bytes"):
        read_arrays(path, WANTED)


def test_an_absent_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", key="abc")
    with pytest.raises(InputError, match=r"a.npz: image: cannot be read \(is missing\)"):
        read_arrays(tmp_path / "a.npz", WANTED)
    with pytest.raises(InputError, match=r"none.npz"):
        read_arrays(tmp_path / "none.npz", WANTED)


def test_replicates_and_checkpoints_refuse_what_they_did_not_write(tmp_path: Path) -> None:
    grid = Grid.axial((4, 3, 2), spacing_mm=(2, 2, 2))
    path = tmp_path / "spect_replicates.npz"
    save_replicates(path, Ensemble(np.ones((3, 4, 3, 2), dtype=np.float32), 7), grid)
    assert load_replicates(path, grid).seed == 7
    np.savez(path, images=np.ones((3, 4, 3, 2)), affine=np.eye(3), seed=np.int64(1))
    with pytest.raises(InputError, match="no file of replicates"):
        load_replicates(path, grid)
    np.savez(path, key="k", image=IMAGE, iterations=np.int64(3), additive=IMAGE, pixel_mm=np.ones(3))
    with pytest.raises(InputError, match=r"cannot be read.*remove it to start anew"):
        Checkpoint.open(path, "k")
