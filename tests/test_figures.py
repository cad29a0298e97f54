import numpy as np
import pytest

from zoomsr.figures import ERROR_RANGE, Enlargement, comparison


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
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (2, 4, 8, 6)


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
