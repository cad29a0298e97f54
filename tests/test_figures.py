import numpy as np
import pytest

from zoomsr.figures import ERROR_RANGE, Enlargement, comparison, enlarged_area


def _row(name: str = "cat", *, marked: bool = True) -> Enlargement:
    rng = np.random.default_rng(0)
    lr, hr, sr = (rng.random((side, side, 3), dtype=np.float32) for side in (8, 16, 16))
    methods = {"bicubic": (sr, 20.0), "unet": (hr, 31.234)}
    return Enlargement(name, lr, hr, methods, photograph=hr if marked else None, box=(2, 4, 8, 6))


def test_comparison_has_a_titled_panel_for_everything() -> None:
    figure = comparison([_row("cat"), _row("dog")])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:6] == [
        "cat\narea marked",
        "input 8x8\n(nearest)",
        "bicubic\n20.00 dB",
        "unet\n31.23 dB",
        "truth\n16x16",
        "|error| of\nunet",
    ]
    assert titles[6].startswith("dog")


def test_panels_share_their_range_and_the_error_map_has_a_bar() -> None:
    figure = comparison([_row()])
    *pictures, bar = figure.axes
    assert {ax.images[0].get_clim() for ax in pictures[:-1]} == {(0, 1)}
    assert pictures[-1].images[0].get_clim() == (0, ERROR_RANGE)
    assert "absolute error" in bar.get_ylabel()
    assert np.allclose(pictures[-1].images[0].get_array(), 0)  # the last method is the truth itself


def test_area_is_marked_where_it_is() -> None:
    (box,) = comparison([_row()]).axes[0].patches
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (1.5, 3.5, 8, 6)  # pixels' centres have whole numbers


def test_strip_without_photograph_starts_with_the_input() -> None:
    assert comparison([_row(marked=False)]).axes[0].get_title() == "input 8x8\n(nearest)"


def test_titles_do_not_overlap() -> None:
    figure = comparison([_row(), _row()])
    figure.draw_without_rendering()
    boxes = [ax.title.get_window_extent() for ax in figure.axes[:12]]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_rows_of_different_methods_are_refused() -> None:
    other = Enlargement("dog", *(np.zeros((4, 4, 3), np.float32),) * 2, {"vdsr": (np.zeros((4, 4, 3)), 1.0)})
    with pytest.raises(ValueError, match="same methods"):
        comparison([_row(), other])
    with pytest.raises(ValueError, match="at least one row"):
        comparison([])


def test_an_enlarged_area_has_an_inset_in_every_panel() -> None:
    rng = np.random.default_rng(0)
    photograph, lr = rng.random((40, 50, 3), np.float32), rng.random((16, 16, 3), np.float32)
    methods = {"bicubic": (lr.repeat(2, 0).repeat(2, 1), 30.5), "unet": (lr.repeat(2, 0).repeat(2, 1), 33.25)}
    figure = enlarged_area(name="a.png", photograph=photograph, box=(3, 5, 16, 16), lr=lr, methods=methods, hr=None)
    upper, lower = figure.axes[:4], figure.axes[4:]
    titles = ["a.png\narea marked", "input (nearest)", "bicubic\n30.50 dB", "unet\n33.25 dB"]
    assert [ax.get_title() for ax in upper] == titles
    boxes = [ax.patches[0] for ax in upper]
    assert [(*box.get_xy(), box.get_width(), box.get_height()) for box in boxes] == [
        *((2.5, 4.5, 16, 16), (5.5, 5.5, 4, 4), (11.5, 11.5, 8, 8), (11.5, 11.5, 8, 8))
    ]
    insets = [ax.images[0].get_array() for ax in lower[1:]]
    assert np.array_equal(insets[0], lr[6:10, 6:10])
    assert [inset.shape[:2] for inset in insets] == [(4, 4), (8, 8), (8, 8)]
