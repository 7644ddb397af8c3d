import numpy as np

from hepatica.core import Grid, Kind, Region, Volume
from hepatica.report.figures.dosimetry.dose import png
from hepatica.report.figures.images.anatomy import Anatomy, anatomy_figure


def test_it_draws_on_an_oblique_grid(oblique_grid: Grid) -> None:
    index = np.indices(oblique_grid.shape)
    centre = np.asarray(oblique_grid.shape)[:, None, None, None] / 2

    def ball(name: str, radius: float) -> Region:
        return Region.from_coverage(name, oblique_grid, (((index - centre) ** 2).sum(axis=0) < radius**2).astype(float))

    liver, tumour, body = ball("liver", 6), ball("tumour 1", 2), ball("body", 8)
    middle = oblique_grid.to_mm(np.asarray(oblique_grid.shape) / 2)
    nowhere = Region("none", oblique_grid, (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32))
    picture = Anatomy(
        title="a ball",
        ct=Volume(oblique_grid, 100 * body.full() - 1000 * (1 - body.full()), Kind.HU),
        activity=Volume(oblique_grid, 1e5 * liver.full(), Kind.ACTIVITY),
        liver=liver,
        segments=[liver, nowhere],
        tumours=[tumour],
        outlines={"body": body},
        start_mm=np.array([middle, middle]),
        end_mm=np.array([middle + 9, middle - 9]),
        radius_mm=np.array([1.5, 0.5]),
        branch_segment=np.array([0, 1]),
        catheters={"trunk": middle},
    )
    figure = anatomy_figure(picture)
    assert [axes.get_title(loc="left").split(",")[0] for axes in figure.axes][:3] == [
        "CT",
        "Couinaud segments",
        "Activity on CT",
    ]
    drawn = png(figure, dpi=40)
    assert drawn.startswith(b"\x89PNG")
    # Without tumour and activity it still draws.
    empty = Anatomy(
        "empty", picture.ct, picture.activity.with_values(0 * picture.activity.values), liver, [liver], [], {},
        picture.start_mm, picture.end_mm, picture.radius_mm, picture.branch_segment, {},
    )  # fmt: skip
    assert png(anatomy_figure(empty), dpi=40).startswith(b"\x89PNG")
