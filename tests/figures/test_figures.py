"""The figures: what they show, and that it can be read."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import matplotlib.style
import numpy as np
import pytest
from _support.figure_samples import CHAIN, EIGHT_EPOCHS, FIGURES, NETS, TWELVE, U, sample_history, sample_row
from _support.texts import assert_readable, drawn_texts
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from zoomsr.figures import (
    ERROR_RANGE,
    Cost,
    Enlargement,
    Panel,
    Stage,
    architecture,
    best_worst,
    comparison,
    curves,
    dots,
    epochs,
    matrix,
    published,
    spectrum,
    tradeoff,
)
from zoomsr.figures.style import BLUE


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_readable_and_white(name: str) -> None:
    assert_readable(FIGURES[name]())


@pytest.mark.parametrize("name", [name for name in FIGURES if not name.startswith("architecture")])
def test_axes_of_charts_have_labels_with_units_and_pictures_have_titles(name: str) -> None:
    for ax in FIGURES[name]().axes:
        if ax.images and not ax.xaxis.get_ticklocs().size:
            assert {image.get_clim() for image in ax.images} <= {(0, 1), (0, ERROR_RANGE)}
        else:
            assert ax.get_xlabel() or ax.get_ylabel()


@pytest.mark.parametrize("name", ["comparison of eight", "trade-off in a crowd", "curves of twelve"])
def test_it_stays_readable_at_another_resolution(name: str) -> None:
    figure = FIGURES[name]()
    figure.savefig(io.BytesIO(), format="svg")
    figure.set_dpi(220)
    assert_readable(figure)


@pytest.mark.parametrize("name", ["comparison of two", "gallery", *list(FIGURES)[11:]])
def test_a_dark_style_of_the_reader_changes_nothing(name: str) -> None:
    plain, dark = io.BytesIO(), io.BytesIO()
    FIGURES[name]().savefig(plain, dpi=50)
    with matplotlib.style.context(["dark_background", {"savefig.facecolor": "auto"}]):
        FIGURES[name]().savefig(dark, dpi=50)
    assert plain.getvalue() == dark.getvalue()


def test_a_comparison_names_everything_in_order() -> None:
    axes = comparison([sample_row("cat"), sample_row("dog")]).axes
    assert [ax.get_title() for ax in axes if ax.get_title()] == [
        *("cat", "ground truth", "input (nearest)", "bicubic", "unet"),
        *("dog", "ground truth", "input (nearest)", "bicubic", "unet"),
    ]
    captions = [ax.get_xlabel() for ax in axes[:9] if ax.get_xlabel()]
    assert captions == ["32x32 pixels", "16x16 pixels", "20.00 dB, SSIM 0.5000", "20.33 dB, SSIM 0.5100"]
    assert [ax.xaxis.label.get_fontweight() for ax in axes[:9]][-3::2] == ["normal", "bold"]


def test_the_crop_is_marked_where_it_is_and_the_inset_in_every_panel() -> None:
    row = sample_row()
    lively = row.methods["bicubic"].image.copy()
    lively[10:16, 4:16] += 5  # the methods differ nowhere more
    row = replace(row, methods={**row.methods, "bicubic": Panel(lively)})
    whole, *panels = comparison([row]).axes
    boxes = [(*box.get_xy(), box.get_width(), box.get_height()) for ax in [whole, *panels] for box in ax.patches]
    assert boxes == [(1.5, 3.5, 32, 30), *[(3.5, 9.5, 12, 6)] * 4]  # pixels' centres have whole numbers
    insets = [ax.images[0].get_array() for ax in panels[1::2]]
    assert np.array_equal(insets[0], row.hr[10:16, 4:16])
    assert np.array_equal(insets[1], row.lr[5:8, 2:8].repeat(2, 0).repeat(2, 1))
    assert np.array_equal(insets[2], np.clip(lively[10:16, 4:16], 0, 1))


def test_seven_nets_stay_legible() -> None:
    figure = comparison([sample_row("cat", NETS)])
    widths = [ax.get_position().width * figure.get_figwidth() for ax in figure.axes]
    assert min(widths[1:]) > 1.5
    assert len({round(width, 6) for width in widths[1:]}) == 1
    assert len({round(ax.get_position().x0, 6) for ax in figure.axes}) == 6  # columns, in two lines


def test_error_maps_share_a_labelled_bar_and_name_their_mean() -> None:
    figure = best_worst(gains=[sample_row()], errors=[sample_row(truth=False)])
    *pictures, bar = figure.axes
    errors = [ax for ax in pictures if ax.get_title() == "|error| of unet"]
    assert [ax.images[0].get_clim() for ax in errors] == [(0, ERROR_RANGE)]
    assert np.allclose(errors[0].images[0].get_array(), 0)  # the last method is the truth itself
    assert errors[0].get_xlabel() == "MAE 0.0000"
    assert bar.get_xlabel() == "absolute error, mean of R, G and B, on [0, 1]"
    assert bar.get_xlim() == (0, ERROR_RANGE)


def test_epochs_are_shown_in_order_between_input_and_truth() -> None:
    titles = [ax.get_title() for ax in epochs([sample_row("cat", EIGHT_EPOCHS, marked=False)]).axes]
    assert titles[:-1] == ["input (nearest)", *EIGHT_EPOCHS, "ground truth", "|error| of epoch 100"]


def test_a_gallery_says_its_titles_once_for_each_block() -> None:
    figure = best_worst(gains=[sample_row("a"), sample_row("b")], errors=[sample_row("c"), sample_row("d")])
    assert [ax.get_title() for ax in figure.axes].count("ground truth") == 2
    said = [text.get_text() for text in drawn_texts(figure)]
    assert [said.index(name) for name in "abcd"] == sorted(said.index(name) for name in "abcd")
    assert "Good results: the largest gain over bicubic" in said
    assert "Difficulties: the largest error elsewhere" in said


def test_a_gallery_without_gains_says_that_nothing_is_good_yet() -> None:
    said = [text.get_text() for text in drawn_texts(best_worst(gains=[], errors=[sample_row("a")]))]
    assert "No good results: unet beats bicubic on no crop yet. Difficulties: the largest error" in said
    assert not any(text.startswith("Good results") for text in said)


@pytest.mark.parametrize("draw", [comparison, epochs, lambda rows: best_worst(gains=rows, errors=[])])
def test_rows_of_different_methods_are_refused(draw: Callable[[list[Enlargement]], Figure]) -> None:
    with pytest.raises(ValueError, match="at least one row, and the same methods in each"):
        draw([sample_row(), sample_row(methods=["vdsr"])])
    with pytest.raises(ValueError, match="at least one row"):
        draw([])


def test_pictures_of_wrong_sizes_are_refused() -> None:
    row = sample_row()
    with pytest.raises(ValueError, match="the ground truth of cat is 30x32: it must be 32x32"):
        replace(row, hr=row.hr[:, :-2])
    with pytest.raises(ValueError, match="nothing has upscaled cat"):
        replace(row, methods={})


def test_curves_draw_the_mean_and_the_band_of_the_seeds() -> None:
    seeds = [sample_history(4, psnr=30), sample_history(3, psnr=32)]
    del seeds[0][1]["val/psnr_y"]  # an epoch without validation
    seeds[0].append(seeds[0][-1])  # a resumed run may write an epoch twice
    mae, psnr = curves({"unet": seeds}, baseline={"mae": 0.02, "psnr_y": 29.0}).axes
    training, held_out, bicubic = psnr.lines
    assert held_out.get_xydata().tolist() == [[1, 32], [2, 34], [3, 34], [4, 34]]
    assert training.get_ydata().tolist() == [33, 34, 35, 35]
    assert (training.is_dashed(), held_out.is_dashed()) == (True, False)
    assert bicubic.get_ydata() == [29, 29]
    band = psnr.collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (31, 35)
    star = next(found for found in psnr.collections if isinstance(found, PathCollection))
    assert star.get_offsets().tolist() == [[3, 34]]  # of the epochs that both have reached
    assert [ax.get_ylabel() for ax in (mae, psnr)] == ["MAE, on [0, 1]", "PSNR on Y (dB)"]


def test_curves_say_the_best_epoch_and_what_is_missing() -> None:
    figure = curves({"unet": [sample_history(4)], "vdsr": [sample_history(2, held_out=False)], "srcnn": [[]]})
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert said[:3] == ["unet: 34.00 dB at epoch 4", "vdsr: no validation epoch", "srcnn: no validation epoch"]
    with pytest.raises(ValueError, match="at least one run"):
        curves({})


def test_values_that_are_no_numbers_leave_no_point() -> None:
    rows = [*sample_history(2), {"epoch": 3.0, "val/psnr_y": math.nan, "train/mae": math.inf}]
    _, psnr = curves({"unet": [rows]}).axes
    assert psnr.lines[1].get_xdata().tolist() == [1, 2]


def test_labels_differ_in_more_than_colour() -> None:
    figure = curves({name: [sample_history(3)] for name in TWELVE})
    lines = figure.axes[0].lines[1::2]
    looks = [(line.get_color(), line.get_marker()) for line in lines]
    assert len(set(looks)) == 12
    assert len({colour for colour, _ in looks}) == 7


def test_spectrum_draws_each_ring_at_its_middle() -> None:
    (ax,) = spectrum({"bicubic": [-30, -20, -10, -5], "unet": [-31, -22, -12, -6]}).axes
    bicubic, unet, zero = ax.lines
    assert bicubic.get_xdata().tolist() == [0.0625, 0.1875, 0.3125, 0.4375]
    assert unet.get_ydata().tolist() == [-31, -22, -12, -6]
    assert zero.get_ydata() == [0, 0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("spatial frequency (cycles/pixel)", "error over ground truth (dB)")
    with pytest.raises(ValueError, match="at least one net"):
        spectrum({})


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    costs = {"bicubic": Cost(33, 1, 0), "slow": Cost(36, 30, 10), "unet": Cost(37, 20, 90), "vdsr": Cost(38, 50, 40)}
    (ax,) = tradeoff(costs).axes
    assert ax.lines[0].get_xydata().tolist() == [[1, 33], [20, 37], [50, 38]]
    assert ax.get_xscale() == "log"
    areas = [found.get_sizes()[0] for found in ax.collections]
    assert areas[0] < areas[1] < areas[3] < areas[2]
    said = [text.get_text() for text in drawn_texts(ax.figure)]
    assert "unet\n90 parameters" in said
    assert "latency (ms), 128x128 input" in said


def test_labels_of_a_crowd_cover_no_marker() -> None:
    figure = FIGURES["trade-off in a crowd"]()
    (ax,) = figure.axes
    labels = [box for text, box in drawn_texts(figure).items() if text.get_text().endswith("parameters")]
    for marker in ax.collections:
        x, y = ax.transData.transform(marker.get_offsets()[0])
        assert not any(box.contains(x, y) for box in labels)


def test_our_nets_stand_out_among_published_ones_and_each_training_set_has_a_marker() -> None:
    figure = FIGURES["published nets"]()
    (ax,) = figure.axes
    ours = [marks for marks in ax.collections if to_hex(marks.get_facecolor()[0]) == BLUE]
    assert [marks.get_offsets()[0].tolist() for marks in ours] == [[98, 33.2]]
    assert len(ax.collections) == 6
    assert ours[0].get_sizes()[0] > max(marks.get_sizes()[0] for marks in ax.collections if marks is not ours[0])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["240 free photographs", "91", "291", "DIV2K"]
    assert [text.get_text() for text in drawn_texts(figure) if text.get_weight() == "bold"] == ["unet"]
    assert (ax.get_xscale(), ax.get_ylabel()) == ("log", "PSNR on Y, Set14, x2 (dB)")
    with pytest.raises(ValueError, match="at least one net"):
        published({}, of="Set14, x2")


def test_a_latency_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the latency of unet is 0 ms: it must be above 0"):
        tradeoff({"unet": Cost(30, 0, 1)})
    with pytest.raises(ValueError, match="at least one net"):
        tradeoff({})


def test_dots_show_each_seed_and_the_mean_in_numbers() -> None:
    figure = dots({"unet": [30.0, 31.0, 33.0], "vdsr": [30.5]}, axis="PSNR on Y (dB)", baseline=29.0)
    (ax,) = figure.axes
    seeds = [line.get_xdata() for line in ax.lines if line.get_marker() == "o"]
    assert [list(found) for found in seeds] == [[30, 31, 33], [30.5]]
    said = [text.get_text() for text in drawn_texts(figure)]
    assert {"31.33", "30.50", "mean", "bicubic 29.00", "unet", "vdsr"} <= set(said)
    low, high = ax.get_ylim()
    assert low > high  # the first label at the top
    assert "0.0123" in [text.get_text() for text in drawn_texts(dots({"a": [0.01234]}, axis="MAE, on [0, 1]"))]
    with pytest.raises(ValueError, match="at least one label"):
        dots({}, axis="x")


def test_a_matrix_writes_each_number_in_a_colour_that_shows() -> None:
    table = [[30.0, 31.0], [math.nan, 40.0]]
    names = {"axis": "PSNR on Y (dB)", "row_title": "trained on", "column_title": "tested on"}
    figure = matrix(table, rows=["a", "b"], columns=["c", "d"], **names)
    ax, bar = figure.axes
    assert {text.get_text(): to_hex(text.get_color()) for text in ax.texts} == {
        "30.00": "#ffffff",
        "31.00": "#ffffff",
        "40.00": "#1a1a1a",
    }
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == ("tested on", "trained on", "PSNR on Y (dB)")
    with pytest.raises(ValueError, match="1 rows and 2 columns"):
        matrix(table, rows=["a"], columns=["c", "d"], **names)


def test_a_u_net_looks_like_a_u() -> None:
    (ax,) = architecture(U).axes
    blocks = ax.patches
    middles = [block.get_y() + block.get_height() / 2 for block in blocks]
    assert middles[1] < middles[0] == middles[2] == middles[3] < middles[4] == middles[5]
    assert blocks[1].get_height() < blocks[0].get_height() < blocks[4].get_height()
    assert blocks[5].get_width() < blocks[0].get_width() < blocks[1].get_width()
    assert all(one.get_x() + one.get_width() < other.get_x() for one, other in pairwise(blocks))
    assert "encoder.1\n64 ch\n32x32" in [text.get_text() for text in ax.texts]


def test_equal_stages_in_a_row_are_one_block() -> None:
    (ax,) = architecture(CHAIN).axes
    assert len(ax.patches) == 2
    assert [text.get_text() for text in ax.texts][:1] == ["body x19\n64 ch\n128x128"]


def test_a_skip_from_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="stage a skips from 0, which is no earlier stage"):
        architecture([Stage("a", 1, 1, 1, skip_from=0)])
    with pytest.raises(ValueError, match="at least one stage"):
        architecture([])
