"""The viewer in a real browser: positions, values and lines against numbers that are known."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hepatica.io.dicom.rtdose import read_rtdose
from hepatica.io.read import read_image
from web_makers import (
    BALL_SD_MM,
    DOSE_MAX_GY,
    DOSE_MIDDLE,
    DOSE_SD_MM,
    FIDUCIALS,
    SPHERE_MM,
)
from web_seen import Seen

READY = (
    "async () => { while (!workbench.stages[0].overlay) await new Promise((next) => setTimeout(next, 20));"
    " await Promise.all([...workbench.images.volumes.values()].map((one) => one.done)); return true }"
)


def trilinear(values: Any, index: Any) -> float:
    """Eight corners in double precision, written anew: independent of what the server uses."""
    clipped = [min(max(float(x), 0.0), n - 1.0) for x, n in zip(index, values.shape, strict=True)]
    low = [min(int(x), n - 2) for x, n in zip(clipped, values.shape, strict=True)]
    share = [x - first for x, first in zip(clipped, low, strict=True)]
    total = 0.0
    for corner in itertools.product((0, 1), repeat=3):
        weight = np.prod([s if c else 1 - s for s, c in zip(share, corner, strict=True)])
        total += float(weight) * float(values[tuple(a + c for a, c in zip(low, corner, strict=True))])
    return total


@pytest.fixture(scope="module")
def opened(browser: Any, bench: Any) -> Iterator[Any]:
    """One page for all of these tests; its view is made anew for each of them."""
    found = Seen(browser, bench)
    yield found
    found.close()


@pytest.fixture
def viewer(opened: Any) -> Any:
    page = opened.open("oblique", "viewer")
    page.evaluate("() => dispatchEvent(new Event('hashchange'))")
    page.locator("html[data-state=ready]").wait_for(state="attached")
    page.evaluate(READY)
    return page


def test_values_at_the_cursor_are_those_of_every_images_own_voxels(viewer: Any, cases: Path) -> None:
    folder = cases / "oblique" / "images"
    ct = read_image(next(folder.glob("ct-*")), role="ct").volume
    dose = read_rtdose(next(next(folder.glob("dose-*")).glob("*.dcm"))).volume
    rng = np.random.default_rng(5)
    points = ct.grid.to_mm(
        rng.uniform(0.6, 0.4 * np.asarray(ct.grid.shape), (50, 3)) + 0.25 * np.asarray(ct.grid.shape)
    )
    found = viewer.evaluate(
        "async (points) => { const out = []; for (const point of points) { workbench.stages[0].position = point;"
        " out.push((await workbench.askNow()).values.map((one) => one.value)) } return out }",
        points.tolist(),
    )
    for point, (hu, gray) in zip(points, found, strict=True):
        # 1e-6 of the value: the voxels are float32 (6e-8), both sides interpolate in double precision
        assert hu == pytest.approx(trilinear(ct.values, ct.grid.to_index(point)), rel=1e-6, abs=1e-6)
        assert gray == pytest.approx(trilinear(dose.values, dose.grid.to_index(point)), rel=1e-6, abs=1e-6)


def test_a_fiducial_is_drawn_where_it_is_in_all_planes(viewer: Any) -> None:
    """The middle of a ball in the pixels that were drawn, against the pixel that its position should have."""
    script = """async ([points, sd]) => {
      const stage = workbench.stages[0]
      await workbench.setOverlay(stage, null)
      stage.doses = []; stage.structures = null
      stage.window = [-1000, 1000]
      stage.drawMore = null
      const off = []
      for (const point of points) {
        stage.moveTo(point, true)
        stage.changedLook(); stage.isMoving = false
        stage.drawNow()
        for (const tile of stage.tiles) {
          const frame = tile.frame(stage)
          const [x, y] = frame.toPixel(point)
          const radius = Math.ceil(1.5 * sd / frame.mmPerPixel)
          const x0 = Math.round(x) - radius, y0 = Math.round(y) - radius, size = 2 * radius + 1
          const pixels = tile.pictureContext.getImageData(x0, y0, size, size).data
          let sum = 0, sx = 0, sy = 0
          for (let j = 0; j < size; j++) for (let i = 0; i < size; i++) {
            const weight = pixels[4 * (j * size + i)]
            sum += weight; sx += weight * (x0 + i + 0.5); sy += weight * (y0 + j + 0.5)
          }
          off.push([tile.plane.name, sx / sum - x, sy / sum - y])
        }
      }
      return off
    }"""
    off = viewer.evaluate(script, [[list(point) for point in FIDUCIALS], BALL_SD_MM])
    assert len(off) == 3 * len(FIDUCIALS)
    for plane, x, y in off:
        assert max(abs(x), abs(y)) < 1, (plane, x, y)


def test_left_is_left(viewer: Any) -> None:
    """A bar on the patient's left shines on the right of axial and coronal planes, where the letter L stands."""
    bright = viewer.evaluate(
        """() => { const stage = workbench.stages[0]
        stage.overlay = null; stage.doses = []; stage.structures = null; stage.window = [-1000, 1000]
        stage.moveTo([0, 0, 10], true); stage.changedLook(); stage.drawNow()
        return stage.tiles.slice(0, 2).map((tile) => {
          const { data, width } = tile.pictureContext.getImageData(0, 0, tile.width, tile.height)
          let left = 0, right = 0
          for (let n = 0; n < data.length / 4; n++) if (data[4 * n] > 140) n % width < width / 2 ? left++ : right++
          return [left, right] }) }"""
    )
    for left, right in bright:
        assert right > max(500, 5 * left)
    edges = viewer.evaluate(
        "() => workbench.stages[0].tiles.map((tile) => ['left', 'right', 'top', 'bottom'].map((side) =>"
        " tile.element.querySelector(`.edge.${side}`).textContent).join(''))"
    )
    assert edges == ["RLAP", "RLSI", "APSI"]


def test_isodose_lines_are_spheres_and_outlines_too(viewer: Any, bench: Any) -> None:
    """Half a voxel is what linear interpolation of a Gaussian may be off; the dose has voxels of 4 to 4.9 mm."""
    key = bench.key("oblique")
    listed = bench.json("GET", f"/api/cases/{key}/images")
    names = {one["role"]: one["key"] for one in listed["images"]}
    drawn_as = listed["structures"][0]["key"]
    levels = [20.0, 50.0, 100.0, 150.0]
    for across, down, axis in (((1, 0, 0), (0, 1, 0), 2), ((1, 0, 0), (0, 0, -1), 1), ((0, 1, 0), (0, 0, -1), 0)):
        middle = np.asarray(DOSE_MIDDLE)
        origin = middle - 80 * np.asarray(across) - 80 * np.asarray(down)
        plane = {"origin": origin.tolist(), "across": across, "down": down, "width_mm": 160, "height_mm": 160}
        asked = {"doses": [{"image": names["dose"], "levels": levels}], "structures": drawn_as, "on": names["ct"]}
        found = bench.json("POST", f"/api/cases/{key}/lines", plane | asked)
        for one in found["doses"][0]["lines"]:
            radius = DOSE_SD_MM * np.sqrt(2 * np.log(DOSE_MAX_GY / one["level"]))
            drawn = np.concatenate([np.reshape(line, (-1, 2)) for line in one["lines"]])
            off = np.linalg.norm(drawn - 80, axis=1) - radius
            assert np.abs(off).max() < 2.0, (axis, one["level"])
        outline = next(one for one in found["structures"] if one["name"] == "Tumour 1")
        drawn = np.concatenate([np.reshape(line, (-1, 2)) for line in outline["lines"]])
        # A mask of whole voxels: its border lies within half the diagonal of a voxel (2.5 x 3.1 x 4.2 mm) of the sphere
        assert np.abs(np.linalg.norm(drawn - 80, axis=1) - SPHERE_MM).max() < 2.9


def test_the_page_interpolates_as_the_server_does(viewer: Any, cases: Path) -> None:
    ct = read_image(next((cases / "oblique" / "images").glob("ct-*")), role="ct").volume
    point = [3.3, -7.7, 18.1]
    found = viewer.evaluate(
        """async (point) => { const { sample } = await import('./slicer/sample.js')
        const out = new Float32Array(1)
        sample(workbench.stages[0].image, { origin: point, across: [1, 0, 0], down: [0, 1, 0] }, 1, 1, out)
        return out[0] }""",
        point,
    )
    assert found == pytest.approx(trilinear(ct.values, ct.grid.to_index(point)), rel=1e-6)  # float32 out: 6e-8


def test_mr_is_shown_by_its_first_echo(viewer: Any) -> None:
    """Its signal rises by 1 for each mm to the left, which every interpolation keeps; stored in steps of 1/65535."""
    found = viewer.evaluate(
        """async () => { const stage = workbench.stages[0]
        const mr = workbench.images.images.find((one) => one.role === 'mr')
        await workbench.setImage(stage, mr.key)
        stage.moveTo([11.5, -3, 12], true)
        const answer = await workbench.askNow()
        return [stage.image.unit, ...answer.values.filter((one) => one.key === mr.key).map((one) => one.value)] }"""
    )
    assert found == ["signal", pytest.approx(211.5, abs=0.02)]


def by_hand(volume: Any, centre: Any, halves: Any, shape: str) -> Any:
    """Voxels whose centres lie in a box or ellipsoid along the patient's axes, of all voxels of an image."""
    where = volume.grid.to_mm(np.stack(np.meshgrid(*map(np.arange, volume.grid.shape), indexing="ij"), axis=-1))
    away = (where - centre) / halves
    inside = (np.abs(away) <= 1).all(axis=-1) if shape == "rectangle" else (away**2).sum(axis=-1) <= 1
    return volume.values[inside].astype(float)


def test_regions_hold_what_their_voxels_hold_and_angles_are_angles(viewer: Any, bench: Any, cases: Path) -> None:
    folder, key = cases / "oblique" / "images", bench.key("oblique")
    ct = read_image(next(folder.glob("ct-*")), role="ct").volume
    dose = read_rtdose(next(next(folder.glob("dose-*")).glob("*.dcm"))).volume
    names = {one["role"]: one["key"] for one in bench.json("GET", f"/api/cases/{key}/images")["images"]}
    asked = {"centre": DOSE_MIDDLE, "across": (1, 0, 0), "down": (0, 1, 0), "at": names["ct"]}
    sides = {
        "half_across_mm": 21.0,
        "half_down_mm": 15.0,
        "half_depth_mm": 12.0,
        "images": [names["ct"], names["dose"]],
    }
    for shape, volume_ml in (("ellipse", 4 / 3 * np.pi * 3.78), ("rectangle", 8 * 3.78)):
        found = bench.json("POST", f"/api/cases/{key}/region", asked | sides | {"shape": shape})
        assert found["volume_ml"] == pytest.approx(volume_ml)
        for row, volume in zip(found["values"], (ct, dose), strict=True):
            values = by_hand(volume, DOSE_MIDDLE, (21.0, 15.0, 12.0), shape)
            assert row["count"] == values.size > 50
            assert [row["mean"], row["sd"]] == pytest.approx([values.mean(), values.std(ddof=1)], rel=1e-9)
            assert (row["low"], row["high"]) == (values.min(), values.max())
    wrong, _, _ = bench.answer(
        "POST", f"/api/cases/{key}/region", asked | sides | {"shape": "ellipse", "half_down_mm": 0}
    )
    assert wrong == 422
    # A quarter of a turn by the keys alone: 20 mm to the left, then 10 mm back from the corner.
    viewer.get_by_role("button", name="Angle").click()
    canvas = viewer.get_by_role("img", name="axial plane")
    canvas.focus()
    for keys in (["m"], ["Shift+ArrowRight", "Shift+ArrowRight", "m"], ["Shift+ArrowDown", "m"]):
        for each in keys:
            viewer.keyboard.press(each)
    viewer.get_by_text("1. Angle, axial: 90.0°").wait_for()
    viewer.get_by_role("button", name="Ellipse").click()
    box = canvas.bounding_box()
    viewer.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.4 * box["height"])
    viewer.mouse.down()
    viewer.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=3)
    viewer.mouse.up()
    table = viewer.get_by_role("region", name="Measurement 2")
    table.get_by_role("rowheader", name="Dose of another program").wait_for()
    assert " Gy" in table.inner_text()
    assert " HU" in table.inner_text()


STORED = Path(__file__).parent / "pictures"


def test_planes_look_as_they_did(viewer: Any, tmp_path: Path) -> None:
    """CT with dose as the slicer paints it, which no GPU and no font takes part in, against stored pictures.

    The last one is laid over it by a registration, 20 degrees about the patient's long axis and 15 mm to the left, in
    other colours and an inverted window. A picture that changes on purpose: look at the new one, and copy it over the
    stored one.
    """
    from matplotlib.image import imread

    names = [*(f"plane-{plane}.png" for plane in range(3)), "registered.png"]
    for number, name in enumerate(names):
        picture = viewer.evaluate(
            """async (number) => { const stage = workbench.stages[0]; const tile = stage.tiles[number % 3]
            const [c, s] = [Math.cos(Math.PI / 9), Math.sin(Math.PI / 9)]
            stage.window = number < 3 ? [-1000, 1000] : [600, -1000]; stage.range = [10, 180]; stage.opacity = 0.5
            stage.colours = number < 3 ? 'inferno' : 'cividis'
            stage.overlayMatrix = number < 3 ? null : [[c, -s, 0, -15], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
            stage.position = [6, -4, 11]; stage.centre = [0, 0, 12]; stage.zoom = 1
            tile.width = 240; tile.height = 200; stage.mmPerPixel = () => 0.75
            stage.version++; tile.paint(stage, 1)
            return tile.picture.toDataURL('image/png').split(',')[1] }""",
            number,
        )
        (tmp_path / name).write_bytes(base64.b64decode(picture))
        assert (tmp_path / name).stat().st_size < 150_000
    for name in names:
        found, stored = imread(tmp_path / name), imread(STORED / name)
        assert found.shape == stored.shape
        # one step of 255 where a value lies on the border of two
        assert np.abs(found - stored).max() <= 1.01 / 255, f"compare {tmp_path / name} with {STORED / name}"


def test_two_images_stand_side_by_side_and_say_how_they_are_linked(seen: Any) -> None:
    page = seen.open("course", "viewer")
    page.get_by_role("button", name="Side by side").click()
    page.get_by_text("Linked: ").wait_for()
    assert page.get_by_role("group", name="Second image").count() == 1


def test_keys_move_the_cursor_and_the_levels_can_be_edited(viewer: Any) -> None:
    canvas = viewer.get_by_role("img", name="axial plane")
    canvas.focus()
    before = viewer.evaluate("workbench.stages[0].position")
    viewer.keyboard.press("ArrowRight")
    viewer.keyboard.press("Shift+ArrowDown")
    after = viewer.evaluate("workbench.stages[0].position")
    assert np.allclose(np.subtract(after, before), (1, 10, 0))
    levels = viewer.get_by_label("Levels, Gy").first
    levels.fill("33, 66")
    levels.press("Enter")
    assert viewer.evaluate("workbench.stages[0].doses[0].levels") == [33, 66]


def test_without_webgl_everything_but_the_3d_tile_works(new_seen: Any) -> None:
    script = (
        "const had = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext ="
        " function (kind, ...all) { return kind.startsWith('webgl') ? null : had.call(this, kind, ...all) }"
    )
    page = new_seen(script=script).open("oblique", "viewer")
    page.get_by_role("button", name="3-D").click()
    page.get_by_text("The 3-D tile needs WebGL 2").wait_for()
    page.get_by_role("button", name="Close 3-D").click()
    page.locator(".tile.about").get_by_text("position, LPS").wait_for()


def test_the_3d_tile_shows_something(viewer: Any) -> None:
    viewer.get_by_role("button", name="3-D").click()
    viewer.wait_for_timeout(500)
    viewer.evaluate(
        "async () => { while (!workbench.tile3d?.isReady) await new Promise((next) => setTimeout(next, 100)) }"
    )
    lit = viewer.evaluate(
        """() => { const shown = workbench.tile3d.shown; shown.drawScene()
        const { gl } = shown; const pixels = new Uint8Array(4 * gl.drawingBufferWidth * gl.drawingBufferHeight)
        gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, pixels)
        const seen = new Set(); for (let n = 0; n < pixels.length; n += 4) seen.add(pixels[n]); return seen.size }"""
    )
    assert lit > 10
