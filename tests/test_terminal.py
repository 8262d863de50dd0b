"Text for the terminal: it fits, whatever the numbers, and nothing in a file name is taken for markup."

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenkai_research.visualization import terminal

WIDTHS = 80, 200


def text_of(thing, width):
    console = terminal.console(width)
    console.file = io.StringIO()
    console.print(thing)
    return console.file.getvalue()


def summary(values, scorer="exposure", output="dynamic_range"):
    return terminal.summarize(pd.DataFrame({"scorer": scorer, "output": output, "value": values}))


@pytest.mark.parametrize("width", WIDTHS)
@settings(deadline=None)
@given(st.lists(st.floats(), max_size=300))
def test_a_histogram_fits_whatever_the_values(width, values):
    lines = terminal.histogram(values, width).splitlines()
    assert lines and max(map(len, lines)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_a_histogram_counts_every_value(width):
    values = np.random.default_rng(0).normal(size=5000)
    *lines, note = terminal.histogram(values, width, height=4).splitlines()
    assert lines[0].split()[0].isdecimal() and "┬" in lines[-2] and "0" in lines[-1].split()
    assert len(lines) == 6 and max(map(len, lines)) > width / 2
    assert max(map(len, lines)) <= width
    assert "the bars at the ends hold 49 below" in note and "49 above" in note


@pytest.mark.parametrize(("values", "words"), [([], "no values"), ([np.nan], "no values"), ([0.25], "1 value, 0.25"), ([3, 3, 3], "3 values, all 3"),
                                               ([1.0, 1.0 + 1e-12], "2 values, all 1")])
def test_a_histogram_of_nothing_much_is_a_sentence(values, words):
    assert terminal.histogram(values) == words


def test_a_sentinel_flattens_nothing():
    values = np.r_[np.random.default_rng(0).normal(1, 0.1, 1000), [32.0] * 5]
    [shape] = summary(values)["shape"]
    assert sum(shape) == 1005 and np.count_nonzero(shape) == len(shape)
    *bars, _, labels, _ = terminal.histogram(values).splitlines()
    assert "32" not in labels.split() and max(map(len, bars)) > 60
    assert "ends hold" not in terminal.histogram(values[:50])  # too few to leave any of them out


@settings(deadline=None)
@given(st.lists(st.floats()))
def test_a_sparkline_has_one_mark_a_number(values):
    line = terminal.sparkline(values)
    assert len(line) == len(values) and set(line) <= set(" ▁▂▃▄▅▆▇█")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1, 1e6, 1e40])
def test_a_summary_fits_and_cuts_no_number(width, scale):
    found = summary(-scale * np.random.default_rng(0).gamma(2, size=10_000))
    text = text_of(terminal.summary_table(found, width), width)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    for name in ("mean", "median", "min", "max"):
        assert name in text and terminal.number_text(found[name][0], 3) in text
    assert ("q1" in text) == (width == 200) and "\x1b" not in text


@pytest.mark.parametrize("values", [[], [5.0], [5.0] * 4, [np.nan, 5.0]])
def test_a_summary_of_nothing_much(values):
    found = summary(values)
    assert len(found) == bool(values)
    if values:
        assert found["median"][0] == 5 and sum(found["shape"][0]) == found["count"][0]
    assert text_of(terminal.summary_table(found, 80), 80).startswith("output")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_ranking_shows_names_as_they_are(width):
    names = ["/photos/[red]x[/red] :smile:.jpg", "/photos/two\nlines\x1b[2J.jpg", "/photos/caf\udce9.jpg", "/photos/写真.jpg", "/" + "long/" * 60 + "x.jpg"]
    top = pd.DataFrame({"path": pd.Series(names, dtype=object), "value": [5.0, 4.0, 3.0, 0.0, -1.0],
                        "low": [4.0] * 3 + [None] * 2, "high": [6.0] * 3 + [None] * 2})
    lines = terminal.ranking(top).splitlines()
    assert [line[line.index("/"):] for line in lines] == [names[0], r"/photos/two\nlines\x1b[2J.jpg", r"/photos/caf\xe9.jpg", names[3], names[4]]
    assert "(4 to 6)" in lines[0] and "to" not in lines[3].split("/")[0]


def test_numbers_are_short():
    assert all(len(terminal.number_text(sign * x, 3)) <= 8 for sign in (1, -1) for x in 10.0 ** np.arange(-99, 99) * 1.23456)
