"Evaluation: labels as people write them, scores as a library holds them, and the command."

import json
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import typer

from zenkai_research.analysis import evaluation
from zenkai_research.analysis.evaluation import align, combine, evaluate, folds, markdown, match_pictures, read_labels
from zenkai_research.core.errors import BadOption, UnknownName, UnusableSource
from zenkai_research.stats.agreement import srcc

def labelled(n=60, groups=None, seed=0, **columns):
    "Labels of n pictures with sensible opinions."
    mos = np.random.default_rng(seed).uniform(10, 90, n)
    table = pd.DataFrame(dict(picture=[f"{i:03}.jpg" for i in range(n)], mos=mos, mos_std=18.0, raters=30.0, group=groups))
    return table.assign(**columns)


def scored(labels, **outputs):
    "A table of scores as a library gives it; an output's name has __ for the dot, its NaN are failures."
    rows = []
    for name, values in outputs.items():
        scorer, output = name.split("__")
        rows += [(f"/photos/{p}", p, scorer, output, v) for p, v in zip(labels.picture, values, strict=True) if np.isfinite(v)]
    return pd.DataFrame(rows, columns=["path", "digest", "scorer", "output", "value"])


# Labels


@pytest.mark.parametrize("extension", ["csv", "tsv", "json", "parquet"])
def test_labels_in_every_format(tmp_path, extension):
    opinions = dict(MOS=[1.5, 2, 3, None], SD=[0.5, 0.6, 0.7, 0.8], c_total=[10, 11, 12, 13])
    table = pd.DataFrame(dict(Image=["0012", "b/c.jpg", "d.jpg", "e"], **opinions, scene=["x", "x", "y", None]))
    file = tmp_path / f"labels.{extension}"
    {"csv": lambda: table.to_csv(file, index=False), "tsv": lambda: table.to_csv(file, index=False, sep="\t"),
     "json": lambda: table.to_json(file, orient="records"), "parquet": lambda: table.to_parquet(file)}[extension]()  # fmt: skip
    found = read_labels(file)
    assert list(found) == ["picture", "mos", "mos_std", "raters", "group"]
    assert found.picture.tolist() == ["0012", "b/c.jpg", "d.jpg", "e"], "a name of digits stays as it is written"
    assert found.mos.tolist()[:3] == [1.5, 2, 3] and np.isnan(found.mos[3]) and found.raters.tolist() == [10, 11, 12, 13]
    assert found.group.tolist()[:3] == ["x", "x", "y"] and found.group[3] is None


def test_labels_with_numbers_as_names(tmp_path):
    (tmp_path / "ava.json").write_text(json.dumps([dict(image_id=i, mos=i / 7) for i in (231893, 746672, 9)]))
    assert read_labels(tmp_path / "ava.json").picture.tolist() == ["231893", "746672", "9"]


def test_labels_by_named_columns(tmp_path):
    (tmp_path / "l.csv").write_text("image,photo,stars,mos,sd\n1,a.jpg,5,0,1\n2,b.jpg,3,0,1\n3,c.jpg,4,0,1\n")
    found = read_labels(tmp_path / "l.csv", picture="photo", mos="stars", mos_std="", raters=25)
    assert found.picture.tolist() == ["a.jpg", "b.jpg", "c.jpg"] and found.mos.tolist() == [5, 3, 4]
    assert found.mos_std.isna().all() and (found.raters == 25).all() and found.group.isna().all()


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (None, {}, "there is no file"),
        ("", {}, "no table that could be read"),
        ("image,mos\n", {}, "no rows"),
        ("image,quality\na,1\n", {}, "no column for mos"),
        ("what,mos\na,1\n", {}, "no column for picture"),
        ("image,mos\na,1\nb,2\nc,good\n", {}, "column mos, row 3: 'good' is not a number"),
        ("image,mos\na,1\nb,inf\nc,2\n", {}, "column mos, row 2: 'inf' is not a number"),
        ("image,mos\na,1\n,2\nc,3\n", {}, "column image, row 2: empty"),
        ("image,mos\na,1\na,2\nc,3\n", {}, "'a' is there twice"),
        ("image,mos\na,1\nb,2\nc,\n", {}, "rates 2 pictures"),
        ("image,mos,std\na,1,1\nb,2,-1\nc,3,1\n", {}, "column std, row 2: below 0"),
        ("image,mos,n\na,1,1\nb,2,1\nc,3,0\n", {}, "column n, row 3: below 1"),
        ("image,mos\na,1\nb,2\nc,3\n", {"mos": "stars"}, "no column 'stars'"),
    ],
)
def test_bad_labels_say_where(tmp_path, text, options, words):
    file = tmp_path / "labels.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadOption, match="labels") as error:
        read_labels(file, **options)
    assert words in str(error.value) and str(file) in str(error.value)


NO_TABLES = [("a.xlsx", b"PK"), ("a.parquet", b"no parquet"), ("a.json", b"{"), ("a.csv", b"\xff\xfe\x00\x01,\n"), ("folder.csv", None)]


@pytest.mark.parametrize(("name", "content"), NO_TABLES)
def test_files_that_are_no_tables(tmp_path, name, content):
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BadOption, match="labels"):
        read_labels(tmp_path / name)


def test_matching():
    paths = {"/a/x/1.jpg": "p", "/a/y/1.jpg": "q", "/a/y/2.JPG": "r", "/b/2.JPG": "r", "/a/3.tar.png": "s", "/a/33.png": "t", "C:\\photos\\4.png": "u"}
    names = ["1.jpg", "x/1.jpg", "2.JPG", "2", "3.tar", "3", "./y/1.jpg", "/a/33.png", "4.png", "photos/4.png", "none.jpg"]
    found, several = match_pictures(names, paths)
    assert several == ["1.jpg"]
    meant = ["/a/x/1.jpg", "/a/y/2.JPG", "/a/y/2.JPG", "/a/3.tar.png", "/a/y/1.jpg", "/a/33.png", "C:\\photos\\4.png", "C:\\photos\\4.png"]
    assert found == dict(zip(["x/1.jpg", "2.JPG", "2", "3.tar", "./y/1.jpg", "/a/33.png", "4.png", "photos/4.png"], meant, strict=True))


# Evaluation


def test_signs_follow_the_directions():
    labels = labelled()
    good = labels.mos + np.random.default_rng(1).normal(0, 15, 60)
    scores = scored(labels, up__score=good, down__score=-good, none__score=-good, wrong__score=-good)
    found = evaluate(scores, labels, {"up.score": "higher", "down.score": "lower", "wrong.score": "higher"}, draws=200, progress=False)
    table = found.table.set_index("scorer")
    for statistic in ("srcc", "krcc", "plcc", "plcc_mapped", "srcc_low", "srcc_high"):
        assert table.loc["up", statistic] == pytest.approx(table.loc["down", statistic], abs=1e-6), statistic
    assert table.loc["up", "srcc"] == srcc(good, labels.mos) > 0.8 and table.loc["wrong", "srcc"] == table.loc["none", "srcc"] == -table.loc["up", "srcc"]
    assert table.loc["up", "pairwise"] == table.loc["down", "pairwise"] > 0.8 and table.loc["wrong", "pairwise"] < 0.2
    assert table.loc["up", "rmse"] == pytest.approx(table.loc["down", "rmse"])
    assert found.table.scorer.tolist() == ["up", "down", "wrong", "none"] and found.table.letters.tolist() == ["a", "a", "b", ""]
    assert found.p.loc["up.score", "down.score"] == 1 and found.p.loc["up.score", "wrong.score"] < 1e-6


def test_what_is_left_out_is_said():
    labels = labelled(30)
    labels.loc[29, "mos"] = np.nan
    values = labels.mos.fillna(0).to_numpy().copy()
    values[:4] = np.nan
    scores = pd.concat([scored(labels, whole__score=labels.mos.fillna(0), part__score=values), scored(labelled(33)[30:], whole__score=[1, 2, 3])])
    more = pd.concat([labels, labelled(2, picture=["lost.jpg", "gone.jpg"])], ignore_index=True)
    found = evaluate(scores, more, {"whole.score": "higher", "part.score": "higher"}, draws=100, progress=False)
    assert found.pictures == 29 and found.table.set_index("scorer").n.to_dict() == {"whole": 29, "part": 25}
    text = "\n".join(found.notes)
    assert "2 labelled pictures have no scores: lost.jpg, gone.jpg" in text and "1 label has no MOS: 029.jpg" in text
    assert "part.score has no value for 4 of the pictures" in text and "3 scored files have no label" in text
    with pytest.raises(BadOption, match="only 0 of 30 labelled pictures have scores"):
        evaluate(scores.assign(path="/else/" + scores.path.str.replace("/", "_")), labels, draws=100)


def test_pairs_are_compared_on_common_pictures():
    "Two outputs that are the same wherever both have a value are not told apart, whatever the one does elsewhere."
    labels = labelled(80)
    rng = np.random.default_rng(2)
    one = labels.mos + rng.normal(0, 20, 80)
    other = one.copy()
    one[:20], other[60:] = rng.normal(size=20), np.nan
    one[:20] = np.nan
    found = evaluate(scored(labels, a__score=one, b__score=other), labels, {"a.score": "higher", "b.score": "higher"}, draws=100, progress=False)
    assert found.p.loc["a.score", "b.score"] == 1 and found.table.letters.tolist() == ["a", "a"]


def test_groups_and_ceiling():
    labels = labelled(60, groups=np.repeat(np.arange(30), 2).astype(object))
    scores = scored(labels, a__score=labels.mos + np.random.default_rng(3).normal(0, 9, 60))
    found = evaluate(scores, labels, draws=100, progress=False)
    assert found.groups == 30 and found.ceiling.srcc.value > 0.95 and 0 < found.separated < 1
    plain = evaluate(scores, labels.assign(group=None, raters=np.nan), draws=100, progress=False)
    assert plain.groups == 0 and plain.ceiling is None and plain.separated == 1
    labels.loc[0, "group"] = None
    assert any("have no group" in note for note in evaluate(scores, labels, draws=100, progress=False).notes)


@pytest.mark.filterwarnings("error")
def test_outputs_without_a_value():
    "Constant and hardly scored outputs have a row of NaN and no letter."
    labels = labelled(20)
    few = np.r_[1.0, 2.0, np.full(18, np.nan)]
    better = dict.fromkeys(("flat.score", "few.score", "good.score"), "higher")
    found = evaluate(scored(labels, flat__score=np.ones(20), few__score=few, good__score=labels.mos), labels, better, draws=100, progress=False)
    table = found.table.set_index("scorer")
    assert np.isnan(table.srcc[["flat", "few"]]).all() and table.letters.to_dict() == {"good": "a", "flat": "", "few": ""} and table.n["few"] == 2
    assert table.pairwise["flat"] == 0.5
    text = markdown(found)
    assert "nan" not in text and "`flat.score`" in text
    json.dumps(found.to_dict())


def test_fitted_are_marked():
    labels = labelled(20)
    found = evaluate(scored(labels, a__score=labels.mos, b__score=-labels.mos), labels, fitted={"a": "LIVE In-the-Wild"}, draws=100, progress=False)
    assert found.table.set_index("scorer").fitted.to_dict() == {"a": "LIVE In-the-Wild", "b": ""}
    assert "`a.score` \\*" in markdown(found) and "fitted on LIVE In-the-Wild" in markdown(found) and "`b.score` \\*" not in markdown(found)
    assert evaluate(scored(labels, a__score=labels.mos), labels, fitted=["a.score"], draws=100, progress=False).table.fitted[0]


def test_the_same_seed_gives_the_same_numbers():
    labels = labelled(40)
    scores = scored(labels, a__score=labels.mos + np.random.default_rng(5).normal(0, 9, 40))
    one, two, other = (evaluate(scores, labels, draws=100, seed=seed, progress=False).table for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, two)
    assert one.srcc[0] == other.srcc[0] and one.srcc_low[0] != other.srcc_low[0]


# Combination


def test_folds_keep_groups_together():
    groups = np.repeat(np.arange(23), np.random.default_rng(0).integers(1, 9, 23))
    fold = folds(len(groups), groups, 5)
    assert all(len(set(fold[groups == g])) == 1 for g in range(23)) and np.ptp(np.bincount(fold)) <= 8
    for k in (1, 24):
        with pytest.raises(BadOption):
            folds(len(groups), groups, k)


def test_combination_does_not_see_what_it_predicts():
    "Opinions that are one number a group, and outputs that tell groups apart: with whole groups held out, nothing can be learned."
    rng, groups = np.random.default_rng(1), np.repeat(np.arange(40), 6)
    y, x = rng.normal(size=40)[groups], rng.normal(size=(40, 8))[groups] + 0.01 * rng.normal(size=(240, 8))
    from sklearn.neighbors import KNeighborsRegressor

    nearest = KNeighborsRegressor(1)
    assert srcc(combine(x, y, None, nearest), y) > 0.9 and abs(srcc(combine(x, y, groups, nearest), y)) < 0.3
    assert abs(srcc(combine(x, y, groups), y)) < 0.4


def test_combination_is_better_than_its_parts():
    rng = np.random.default_rng(2)
    y = rng.normal(size=300)
    x = np.exp(np.stack([y + rng.normal(0, 2, 300), -y + rng.normal(0, 2, 300), rng.normal(size=300)], axis=1))
    x[::7, 0] = np.nan
    x = np.c_[x, np.full(300, np.nan), np.ones(300)]
    best = max(abs(srcc(x[np.isfinite(x[:, i]), i], y[np.isfinite(x[:, i])])) for i in range(3))
    assert srcc(combine(x, y), y) > best and srcc(combine(x[:, :2], y, method="ranks"), y) > best
    with pytest.raises(BadOption):
        combine(x, y, method="magic")
    with pytest.raises(BadOption):
        combine(x[0], y)


# The command


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    "Photographs, one broken, and labels that speak of two more."
    from zenkai_research.images.samples import sample_photographs

    photos = tmp_path_factory.mktemp("album") / "photos"
    (photos / "below").mkdir(parents=True)
    for i, path in enumerate(sample_photographs().values()):
        shutil.copy(path, photos / ("below" if i % 2 else "."))
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")
    names = [path.name for path in sample_photographs().values()] + ["broken.jpg", "lost.jpg"]
    rows = [f"{name},{20 + 4 * i},15,40" for i, name in enumerate(names)]
    (photos / "labels.csv").write_text("\n".join(["image,mos,mos_std,raters", *rows]) + "\n")
    return photos


@pytest.fixture
def run(album, capsys):
    "The command in this process; what it printed, or what it raised."
    from zenkai_research.cli.evaluate import evaluate as command

    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)

    def call(*arguments, labels=album / "labels.csv"):
        capsys.readouterr()
        words = ["--labels", str(labels), "--library", str(album.parent / "library.sqlite"), "--draws", "100", *map(str, arguments)]
        typer.main.get_command(app)(words, standalone_mode=False)
        return capsys.readouterr()

    return call


def test_command_prints_a_table_that_fits(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out, err = run("--scorer", "technical,colorfulness", "--scorer", "exposure.key")
    assert "sharpness" in out and "colorfulness" in out and "95% interval" in out and "The raters' ceiling" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "2 labelled pictures have no scores: broken.jpg, lost.jpg" in out and "broken.jpg: decode" in err


def test_command_writes_its_report(run, album, tmp_path):
    run("--scorer", "noise,exposure.key", "--output", tmp_path / "new" / "report")
    report = tmp_path / "new" / "report"
    assert sorted(p.name for p in report.iterdir()) == ["agreement.csv", "agreement.md", "agreement.svg"]
    table = pd.read_csv(report / "agreement.csv")
    assert (table.scorer + "." + table.output).tolist() == ["noise.score", "exposure.key"] and (table.n == 14).all()
    text = (report / "agreement.md").read_text()
    assert "![](agreement.svg)" in text and "| `noise.score` | lower | 14 |" in text
    assert ET.fromstring((report / "agreement.svg").read_text()).tag.endswith("svg")


def test_command_speaks_json(run):
    out, _ = run("--scorer", "noise", "--json")
    found = json.loads(out)
    assert found["pictures"] == 14 and found["outputs"][0]["scorer"] == "noise" and found["failures"][0]["stage"] == "decode"


def test_command_scores_only_what_is_labelled(run, album, tmp_path):
    from zenkai_research import open_library

    (tmp_path / "few.csv").write_text("image,mos\nchelsea,1\ncoffee,2\nrocket.jpg,3\n")
    run("--scorer", "harmony", "--images", album, labels=tmp_path / "few.csv")
    with open_library(album.parent / "library.sqlite") as library:
        assert set(library.scores("harmony").path.map(lambda path: path.rpartition("/")[2])) == {"chelsea.png", "coffee.png", "rocket.jpg"}


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--scorer", "niqee"], UnknownName),
        (["--scorer", "noise.shine"], UnknownName),
        (["--images", "/no/such/place"], UnusableSource),
        (["--mos", "stars"], BadOption),
        (["--picture", "mos"], BadOption),
        (["--raters", "image"], BadOption),
        (["--std", "image"], BadOption),
        (["--output", "LABELS"], BadOption),
        (["--output", "LABELS/below"], BadOption),
        (["--labels", "/no/such.csv"], BadOption),
    ],
)
def test_command_refuses_bad_input_with_a_sentence(run, album, arguments, kind):
    with pytest.raises(kind) as error:
        run("--scorer", "noise", *[one.replace("LABELS", str(album / "labels.csv")) for one in arguments])
    assert "\n" not in str(error.value)


def test_explanations_are_whole_sentences():
    labels = labelled(20)
    found = evaluate(scored(labels, a__score=labels.mos), labels, draws=100, progress=False)
    assert all(line.endswith(".") for line in evaluation.explain(found))
    assert align(scored(labels, a__score=labels.mos), labels)[2] == []


def test_labels_that_are_all_alike_are_refused(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("image,mos\na,3\nb,3\nc,3\n")
    with pytest.raises(BadOption, match="all labels have the same MOS"):
        read_labels(file)
    labels = labelled(20, mos=3.0)
    with pytest.raises(BadOption, match="have the same MOS"):
        evaluate(scored(labels, a__score=np.arange(20.0)), labels)
    file.write_text("image,mos\na,3\nb,\n")
    with pytest.raises(BadOption, match="rates 1 picture;"):
        read_labels(file)


def test_tables_libraries_and_files_are_all_welcome(tmp_path):
    labels = labelled(20)
    scores = scored(labels, a__score=labels.mos)
    plain = labels.rename(columns={"picture": "image"})[["image", "mos"]]
    plain.to_csv(tmp_path / "labels.csv", index=False)

    class Library:
        database = None
        def scores(self): return scores

    for given in (tmp_path / "labels.csv", str(tmp_path / "labels.csv"), plain, plain[::-1]):
        assert evaluate(Library(), given, draws=100, progress=False).table.srcc[0] == 1
    for wrong in (plain[["image"]], pd.DataFrame({"x": [1]}), 3, None):
        with pytest.raises(BadOption, match="labels: ") as error:
            evaluate(scores, wrong)
    for wrong in (scores[["path"]], pd.DataFrame(), "scores.csv", None):
        with pytest.raises(BadOption, match="scores: they have no column") as error:
            evaluate(wrong, labels)
    assert "open library" in str(error.value)


def test_a_score_of_one_picture_has_no_interval_and_dashes_are_explained():
    labels = labelled(40)
    found = evaluate(scored(labels, once__score=np.eye(40)[3], flat__score=np.ones(40), good__score=labels.mos), labels, draws=400, progress=False)
    rows = found.table.set_index("scorer")
    assert np.isnan([rows.srcc_low["once"], rows.srcc_high["once"]]).all() and np.isfinite(rows.srcc["once"])
    assert rows.srcc_low["good"] <= rows.srcc["good"] <= rows.srcc_high["good"]
    [line] = [line for line in markdown(found).splitlines() if "`flat.score`" in line]
    assert "| - | - |" in line and any(line.startswith("-: ") for line in evaluation.explain(found))
    assert not any(line.startswith("-: ") for line in evaluation.explain(evaluate(scored(labels, good__score=labels.mos), labels, draws=100, progress=False)))


# Labels as they come


RATED = "\n".join(f"{i}.jpg,{v}" for i, v in enumerate((3.0, 1.5, 4.0, 2.0)))


def labels_from(tmp_path, text, **options):
    (tmp_path / "labels.csv").write_text(text)
    return read_labels(tmp_path / "labels.csv", **options)


@pytest.mark.parametrize("name", ["dmos", "DMOS"])
def test_differential_scores_are_turned(tmp_path, name):
    labels = labels_from(tmp_path, f"image,{name}\n{RATED}\n")
    assert labels.mos.tolist() == [-3, -1.5, -4, -2]
    good = [-3.0, -1.5, -4.0, -2.0]
    found = evaluate(scored(labels, a__score=good), labels, {"a.score": "higher"}, draws=100, progress=False)
    assert found.table.srcc[0] == pytest.approx(1) and any("dmos: higher is worse, so it was turned" in line for line in evaluation.explain(found))
    plain = labels_from(tmp_path, f"image,MOS\n{RATED}\n")
    assert plain.mos.tolist() == [3, 1.5, 4, 2] and not plain.attrs.get("notes")
    assert labels_from(tmp_path, f"image,{name}\n{RATED}\n", mos=name).mos[0] == -3


def test_commas_at_the_end_shift_no_column(tmp_path):
    for text in ("image,mos\n" + RATED.replace("\n", ",\n") + ",\n", "image,mos,\n" + RATED.replace("\n", ",\n") + ",\n", "image,mos\n" + RATED + ",\n"):
        found = labels_from(tmp_path, text)
        assert found.picture.tolist() == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"] and found.mos.tolist() == [3, 1.5, 4, 2]
    for text in ("image,mos\n" + RATED.replace("\n", ",x\n") + ",x\n", "image,mos\n" + RATED + ",x\n"):
        with pytest.raises(BadOption, match=r"row \d: it has 3 values for 2 columns"):
            labels_from(tmp_path, text)


def test_words_for_missing_are_names_too(tmp_path):
    found = labels_from(tmp_path, "image,mos,sd,scene\nNA,1,NA,NA\nNone,2,N/A,null\nnull,3,null,None\nd,nan,2,\ne,,1,x\n")
    assert found.picture.tolist() == ["NA", "None", "null", "d", "e"] and found.group.tolist() == ["NA", "null", "None", None, "x"]
    assert found.mos.isna().tolist() == [False] * 3 + [True] * 2 and found.mos_std.isna().tolist() == [True] * 3 + [False] * 2


@pytest.mark.parametrize("number", [0, -2, 0.5, float("nan"), float("inf")])
def test_a_wrong_number_of_raters_is_no_column(tmp_path, number):
    with pytest.raises(BadOption, match=r"^raters: \S+ is (below 1|no number)"):
        labels_from(tmp_path, f"image,mos\n{RATED}\n", raters=number)


def test_a_picture_counts_once(tmp_path):
    labels = labels_from(tmp_path, "image,mos\ni.jpg,5\n./i.jpg,1\np/i.jpg,2\ni,3\na.jpg,1\nb.jpg,2\n")
    scores = pd.DataFrame([(f"/p/{n}.jpg", n, "s", "score", v) for n, v in (("i", 5.0), ("a", 1.0), ("b", 2.0))],
                          columns=["path", "digest", "scorer", "output", "value"])  # fmt: skip
    kept, wide, notes = align(scores, labels)
    assert kept.picture.tolist() == ["i.jpg", "a.jpg", "b.jpg"] and kept.mos.tolist() == [5, 1, 2] and wide["s.score"].tolist() == [5, 1, 2]
    assert notes == ["3 labels name a picture that another label names: ./i.jpg, p/i.jpg, i"]


def test_what_changes_the_meaning_of_pairs_is_said():
    labels = labelled(30)
    scores = scored(labels, a__score=labels.mos)
    labels.loc[3, "mos_std"] = np.nan
    found = evaluate(scores, labels, draws=100, progress=False)
    assert found.ceiling is None and found.notes[0].startswith("1 of the pictures have no spread or number of ratings")
    assert evaluate(scores, labels.assign(mos_std=np.nan), draws=100, progress=False).notes == []
    assert evaluate(scores, labelled(30, group="x"), draws=100, progress=False).notes == ["all pictures are in one group, so groups are ignored"]


def test_too_many_pairs_are_refused(monkeypatch):
    labels = labelled(30)
    scores = scored(labels, a__score=labels.mos)
    monkeypatch.setattr(evaluation, "MOST_PAIRED", 29)
    found = evaluate(scores, labels, draws=100, progress=False)
    assert np.isnan(found.separated) and np.isnan(found.table.pairwise[0]) and found.table.srcc[0] == pytest.approx(1)
    assert "more than 29 pictures" in found.notes[0] and "nan" not in markdown(found) and "order of the" not in markdown(found)


def test_whole_paths_accents_and_capitals():
    paths = {"/a/i.jpg": "1", "/z/a/i.jpg": "2", "/a/Caf\u00e9.PNG": "3", "/b/\u0399\u0301.png": "4", "/x/T.jpg": "5", "/y/t.JPG": "6"}
    names = ["/a/i.jpg", "a/i.jpg", "Cafe\u0301.PNG", "cafe\u0301.png", "\u038a.png", "t.jpg", "T", "t"]
    found, several = match_pictures(names, paths)
    assert found == {"/a/i.jpg": "/a/i.jpg", "Cafe\u0301.PNG": "/a/Caf\u00e9.PNG", "cafe\u0301.png": "/a/Caf\u00e9.PNG", "\u038a.png": "/b/\u0399\u0301.png",
                     "T": "/x/T.jpg", "t": "/y/t.JPG"}  # fmt: skip
    assert several == ["a/i.jpg", "t.jpg"]


# The command, before and after the work


def test_candidates_are_those_that_match():
    from zenkai_research.cli.evaluate import _candidates

    places = ["/p/x/1.jpg", "/p/y/1.jpg", "/p/2.JPG", "/p/11.jpg", "/p/Caf\u00e9.png"]
    for names in (["1.jpg"], ["1"], ["./x/1.jpg", "2.jpg"], ["cafe\u0301"], ["9"], []):
        assert _candidates(names, places) == [place for place in places if any(match_pictures([name], {place: place})[0] for name in names)]


def test_thumbnails_beside_the_pictures_do_not_matter(run, album, tmp_path):
    from PIL import Image

    (tmp_path / "photos" / "thumbs").mkdir(parents=True)
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        [path] = album.rglob(name)
        shutil.copy(path, tmp_path / "photos")
        Image.open(path).resize((64, 48)).save(tmp_path / "photos" / "thumbs" / name)
    (tmp_path / "few.csv").write_text("image,mos\nchelsea,1\ncoffee.png,2\nrocket.jpg,3\nthumbs/rocket.jpg,4\n")
    out, _ = run("--scorer", "noise", "--images", tmp_path / "photos", "--json", labels=tmp_path / "few.csv")
    found = json.loads(out)
    assert found["pictures"] == 4 and not any("fit" in note for note in found["notes"])


def test_nothing_is_scored_for_a_report_that_cannot_be_written(run, album, tmp_path, monkeypatch):
    from zenkai_research.scoring.library import Library

    monkeypatch.setattr(Library, "score", lambda *_, **__: pytest.fail("it scored"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadOption, match="cannot make the folder"):
        run("--scorer", "noise", "--output", tmp_path / "file")


def test_reports_without_a_figure_and_through_links(tmp_path):
    from zenkai_research.cli.evaluate import _write
    from zenkai_research.visualization.plots import agreement_plot, save_figure

    labels = labelled(20)
    flat = evaluate(scored(labels, flat__score=np.ones(20)), labels, draws=100, progress=False)
    (tmp_path / "target.md").write_text("old")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "agreement.md").symlink_to(tmp_path / "target.md")
    assert "svg" not in _write(flat, tmp_path / "report", "title")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["agreement.csv", "agreement.md"]
    assert (tmp_path / "report" / "agreement.md").is_symlink() and "svg" not in (tmp_path / "target.md").read_text()
    (tmp_path / "link.svg").symlink_to(tmp_path / "target.svg")
    assert save_figure(agreement_plot(evaluate(scored(labels, a__score=labels.mos), labels, draws=100, progress=False)), tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "target.svg").read_text().startswith("<?xml")


# The commands beside it


IMPOSSIBLE = [["--output", "LIST.xlsx"], ["--output", "/no/such/folder/list.csv"], ["--keep-tag", "x", "--reject-tag", "x"], ["--keep-tag", " "]]


@pytest.mark.parametrize("options", IMPOSSIBLE)
def test_filter_neither_scores_nor_tags_for_an_impossible_order(album, tmp_path, options):
    from zenkai_research.cli.filter import filter as command

    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    run = lambda *arguments: app([*map(str, arguments), "--library", str(tmp_path / "new.sqlite")], standalone_mode=False)
    with pytest.raises(BadOption):
        run("noise < 4", album, "--reject-tag", "bad", *options)
    assert not (tmp_path / "new.sqlite").exists()


def test_filter_makes_no_library_of_nothing(tmp_path):
    from zenkai_research.cli.filter import filter as command

    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    (tmp_path / "empty").mkdir()
    for place, kind in ((tmp_path / "empty", BadOption), (tmp_path / "mistyped", UnusableSource)):
        with pytest.raises(kind):
            app(["noise < 4", str(place), "--library", str(tmp_path / "new.sqlite")], standalone_mode=False)
    assert not (tmp_path / "new.sqlite").exists()


def test_two_references_of_one_name(album, tmp_path):
    from zenkai_research.cli.compare import _matched, matched

    for folder, names in (("before", ["a.jpg", "a.png", "b.png"]), ("after", ["a.webp", "b.jpg", "c.jpg"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(b"")
    pairs, alone = _matched(str(tmp_path / "before"), [str(tmp_path / "after")])
    assert len(pairs) == 1 and [why for _, why in sorted(alone.items())] == ["several references are called so", "no reference has its name"]
    with pytest.raises(BadOption, match="REF: several references are called so: a$"):
        matched(str(tmp_path / "before"), [str(tmp_path / "after" / "a.webp")])
