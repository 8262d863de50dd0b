"Filters: expressions mean the same in memory, on SQLite and on PostgreSQL; what cannot be read is answered; thresholds come from labels."

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zenkai_research.core.errors import BadOption, LibraryError, UnknownName
from zenkai_research.core.registry import _session as scorers_by_hand
from zenkai_research.core.registry import get_scorer, provenance, scorer
from zenkai_research.core.scorer import Output
from zenkai_research.filters import expressions
from zenkai_research.filters.expressions import FACTS, And, Compare, Condition, Not, Or, Tagged, condition, fact, reasons, register_condition, score, tag
from zenkai_research.filters.parsing import parse
from zenkai_research.filters.selection import select, stored, values_for
from zenkai_research.scoring.library import open_library
from zenkai_research.storage import catalog
from zenkai_research.storage import schema as t
from zenkai_research.storage.database import upsert

LEVELS = (-1.0, 0.0, 0.1, 0.5, 1.0, 7.25)
TEXTS = ("X-T5", "x-t5", "Ångström 50 mm", "it's 100%_\\")
TIMES = ("2023-12-31T23:59:59", "2024-05-01T00:00:00", "2024-05-17T12:30:00+02:00", "2024-06-01")


@pytest.fixture(autouse=True)
def own_names():
    "Two made-up scorers, and no conditions that an earlier test named."
    scorer("alpha", Output("score", "A.", better="higher"), Output("detail", "B."))(lambda frame: (1, 2))
    scorer("beta", Output("score", "C.", better="lower"))(lambda frame: 1)
    before = dict(expressions._session)
    yield
    expressions._session.clear()
    expressions._session.update(before)
    for name in ("alpha", "beta"):
        scorers_by_hand.pop(name)


def fill(library, rows):
    "Put pictures with these values into a library: `scorer.output`, facts and tags by name."
    scorers = {name: get_scorer(name) for name in ("alpha", "beta")}
    with library.database.write() as c:
        run = catalog.start_run(c, {}, {})
        of = lambda one: zip([f"{one.name}.{o.name}" for o in one.outputs], catalog.output_ids(c, one, provenance(one, scorers)), strict=True)
        ids = {name: dict(of(one)) for name, one in scorers.items()}
        catalog.use_scorers(c, [next(iter(one.values())) for one in ids.values()])
        outputs = {name: id for one in ids.values() for name, id in one.items()}
        root, _ = catalog.root_for(c, "/pictures")
        pictures = catalog.picture_ids(c, {f"{i:064x}": row["bytes"] for i, row in enumerate(rows)})
        for i, row in enumerate(rows):
            id = pictures[f"{i:064x}"]
            known = {name: row[name] for name in ("format", "width", "height") if name in row}
            if known:
                c.execute(sa.update(t.pictures).where(t.pictures.c.id == id).values(known))
            facts = {name: row[name] for name in ("taken", "camera", "lens", "rating") if name in row}
            upsert(c, t.metadata, [{"picture_id": id, "record": {}, **facts}] if facts else [], ("picture_id",))
            upsert(c, t.tags, [{"picture_id": id, "tag": word, "added": t.now()} for word in row["tags"]], ("picture_id", "tag"))
        catalog.put_files(c, [dict(root_id=root, path=f"{i:06}.jpg", picture_id=pictures[f"{i:064x}"], size=1, mtime_ns=1, raw=None)
                              for i in range(len(rows))], run)
        catalog.put_scores(c, [(pictures[f"{i:064x}"], outputs[name], row[name], math.nan, math.nan, run)
                               for i, row in enumerate(rows) for name in row if name in outputs])


def random_row(rng):
    "A picture of which each thing is known with some chance."
    values = {"alpha.score": float(rng.choice(LEVELS)), "beta.score": float(rng.choice(LEVELS)), "width": int(rng.choice([1, 40, 60_000])),
              "format": str(rng.choice(["jpeg", "png"])), "rating": int(rng.integers(-1, 6)), "camera": str(rng.choice(TEXTS)), "taken": str(rng.choice(TIMES))}
    row = {name: value for name, value in values.items() if rng.random() < 0.7}
    if "alpha.score" in row:
        row["alpha.detail"] = float(rng.choice(LEVELS))
    if "width" in row:
        row["height"] = int(rng.choice([1, 40, 60_000]))
    return row | {"bytes": int(rng.integers(1, 10**10)), "tags": {word for word in ("keep", "Keep", "it's") if rng.random() < 0.4}}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return [random_row(rng) for _ in range(150)]


def comparisons():
    signs = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    scores = st.builds(Compare, st.sampled_from(["alpha", "alpha.score", "alpha.detail", "beta"]), signs, st.sampled_from(LEVELS))
    numbers = st.sampled_from([("width", 40.0), ("height", 39.5), ("pixels", 3.6e9), ("megapixels", 0.0016), ("aspect", 1.0), ("aspect", 1500.0),
                               ("bytes", 5e9), ("rating", 3.0), ("rating", -1.0)])
    facts = st.builds(lambda one, sign: Compare(one[0], sign, one[1], True), numbers, signs)
    texts = st.builds(lambda name, sign, text: Compare(name, sign, text, True), st.sampled_from(["camera", "lens", "format"]),
                      st.sampled_from(["==", "!=", "has"]), st.sampled_from((*TEXTS, "jpeg", "png", "T5", "%", "å", "_")))
    times = st.builds(lambda sign, text: Compare("taken", sign, text, True), signs, st.sampled_from((*TIMES, "2024", "2024-05", "2024-05-17")))
    return scores | facts | texts | times | st.builds(Tagged, st.sampled_from(["keep", "Keep", "it's", "nobody"]))


def all_expressions():
    parts = lambda inner: st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.recursive(comparisons(), lambda inner: st.builds(Not, inner) | st.builds(And, parts(inner)) | st.builds(Or, parts(inner)), max_leaves=8)


def test_databases_decide_as_memory_does(where, rows):
    "Random expressions on random pictures of which much is missing: one SQL condition and the evaluation of each row give the same three answers."
    with open_library(where) as library:
        fill(library, rows)
        paths = [f"/pictures/{i:06}.jpg" for i in range(len(rows))]

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(all_expressions())
        def check(expression):
            wanted = [{True: "keep", False: "reject", None: "undecided"}[expression.test(row)] for row in rows]
            table = select(library, expression, reason=False)
            assert list(table.path) == paths and list(table.decision) == wanted, str(expression)

        check()


def test_reasons_are_there_for_every_decision(where, rows):
    with open_library(where) as library:
        fill(library, rows)
        table = select(library, "alpha < 5 & ~(beta >= 7) & (tag(\"keep\") | rating >= 0 | camera has \"T5\")")
        assert set(table.decision) == {"keep", "reject", "undecided"} and (table.reason != "").all()
        assert table.reason[table.decision == "undecided"].str.fullmatch(r"((alpha|beta|rating|camera) is not (scored|known)(; )?)+").all()
        assert table.attrs["counts"] == table.decision.value_counts().to_dict()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(all_expressions(), st.integers(0, 2**32 - 1))
def test_text_says_the_same(expression, seed):
    "An expression printed and read again decides the same, prints the same, and needs the same scorers; not-not and flattening may change its shape."
    again = parse(str(expression))
    row = random_row(np.random.default_rng(seed))
    assert again.test(row) is expression.test(row) and str(again) == str(parse(str(again))) and again.scorers() == expression.scorers()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(all_expressions(), st.integers(0, 2**32 - 1))
def test_logic_is_sound(expression, seed):
    "What is decided with something missing stays so whatever the missing turns out to be (Kleene)."
    full = random_row(np.random.default_rng(seed)) | {"alpha.score": 0.1, "beta.score": 1.0, "lens": "T5", "rating": 2}
    part = {name: value for name, value in full.items() if name not in ("alpha.score", "lens", "rating")}
    decided = expression.test(part)
    assert decided is None or expression.test(full) is decided
    assert (~expression).test(full) is (None if expression.test(full) is None else not expression.test(full))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab&|~()<>=!\"'.0159- \tandornothas§é", max_size=40))
def test_any_text_is_read_or_answered(text):
    try:
        parse(text)
    except (BadOption, UnknownName):
        pass


def test_precedence():
    quiet = register_condition("quiet", "alpha < 4")
    loose = register_condition("loose", "beta > 1")
    assert parse("quiet & ~loose & alpha < 4") == quiet & ~loose & (score("alpha") < 4)
    assert parse("quiet | loose & alpha < 4") == quiet | (loose & (score("alpha") < 4))
    assert parse("~alpha < 4 & quiet") == ~(score("alpha") < 4) & quiet
    assert parse("not quiet or loose and 0.5 <= beta < 1") == ~quiet | (loose & (score("beta") >= 0.5) & (score("beta") < 1))
    assert parse("4 > alpha") == (score("alpha") < 4) and parse("~~quiet") == quiet
    assert parse("taken>=2024-05-01 & width>-1e3") == (fact("taken") >= "2024-05-01") & (fact("width") > -1000)


@pytest.mark.parametrize("text, place, words", [
    ("alpha <", 8, "a number or"), ("alpha < 4 alpha < 5", 11, "& or | or the end"), ("(alpha < 4", 11, "& or | or )"),
    ("alpha", 6, "a comparison"), ("alpha & beta < 1", 7, "alpha < 4"), ("alpha << 4", 8, "a number or"), ("alpha < \"a\"", 9, "is a number"),
    ("camera == 4", 11, "a text in quotes"), ("camera < \"a\"", 10, "has no meaning"), ("tag(keep)", 5, "a text in quotes"),
    ("alpha < 1e999", 9, "is a number"), ("camera == \"\"", 11, "no text to look for"), ("alpha < 4 & \"", 13, "a name, a number"),
    ("1 < alpha < 2 < 3", 15, "& or | or the end"), ("4", 2, "a comparison"), ("camera == \"\\q\"", 11, "stands only before"),
    ("\"a\" has camera", 5, "before has"), ("~", 2, "a condition"), ("alpha < 4\n& §", 13, "a name, a number"),
])
def test_wrong_texts_are_answered_with_the_place(text, place, words):
    with pytest.raises(BadOption, match="^expression: at character ") as caught:
        parse(text)
    assert f"character {place}, " in str(caught.value) and words in str(caught.value)


def test_unknown_names_are_answered_by_near_ones():
    register_condition("quiet", "alpha < 4")
    for text, near in (("quite", "quiet"), ("alpah < 4", "alpha"), ("alpha.detial < 4", "alpha.detail"), ("rateing > 2", "rating")):
        with pytest.raises(UnknownName, match=f"did you mean .*{near}"):
            parse(text)


def test_what_would_break_a_database_is_refused():
    with pytest.raises(BadOption, match="too deep"):
        parse("(" * 1000 + "alpha < 4" + ")" * 1000)
    with pytest.raises(BadOption, match="more than 200"):
        parse(" & ".join(["alpha < 4"] * 1000))
    for text in ("a\0b", "a\ud800b"):
        with pytest.raises(BadOption, match="no text to look for"):
            fact("camera").has(text)
    with pytest.raises(BadOption, match="no text"):
        parse(5)


def test_the_largest_expression_runs(where, rows):
    with open_library(where) as library:
        fill(library, rows[:3])
        deep = "~(" * 24 + "alpha < 4" + ")" * 24
        assert len(select(library, deep)) == len(select(library, " & ".join(["alpha < 4", "beta < 4"] * 100))) == 3


def test_python_traps():
    for wrong in (lambda: tag("a") & score("alpha") < 4, lambda: 1 < score("alpha") < 2, lambda: tag("a") and tag("b"), lambda: not tag("a"),
                  lambda: score("alpha") & tag("a"), lambda: ~score("alpha"), lambda: score("alpha") < math.nan, lambda: score("alpha") < True,
                  lambda: tag("a") | 1):
        with pytest.raises(BadOption):
            wrong()
    with pytest.raises(UnknownName):
        fact("size")


def test_named_conditions():
    quiet = register_condition("quiet", Condition("quiet", score("alpha") > 0.12, phrase="{value} of it is quiet", unit="%"))
    row = {"alpha.score": 0.22, "tags": ()}
    assert reasons(~quiet, row) == ["quiet: 22 % of it is quiet (limit 12 %)"]
    assert reasons(quiet, {"alpha.score": 0.1}) == ["not quiet: 10 % of it is quiet (limit 12 %)"]
    assert reasons(quiet, {"alpha.score": 0.1199999}) == ["not quiet: 11.99999 % of it is quiet (limit 12 %)"]
    assert reasons(quiet & tag("keep"), row) == ["not tagged keep"] and quiet.scorers() == ["alpha"]
    for name, what in (("and", "quiet"), ("a b", "quiet"), ("width", "quiet"), ("quiet", "~quiet"), ("loose", "quiet &")):
        with pytest.raises(BadOption):
            register_condition(name, what)
    register_condition("loose", "~quiet")
    with pytest.raises(BadOption, match="defined by itself"):
        register_condition("quiet", "loose")
    with pytest.raises(UnknownName, match="did you mean quiet"):
        condition("quit")


def test_rows_of_a_table_can_be_tested():
    table = pd.DataFrame({"alpha.score": [0.1, np.nan], "camera": ["X-T5", None], "rating": pd.array([3, None], dtype="Int64")})
    expression = parse("alpha < 1 & camera has \"T5\" & rating > 2")
    assert [expression.test(row) for _, row in table.iterrows()] == [True, None]


def test_tags_and_places(where, rows):
    with open_library(where) as library:
        fill(library, rows)
        first = select(library, "alpha < 0.5", tag="yes", reject_tag="no")
        counts = first.attrs["counts"]
        assert library.tags()["yes"] == counts["keep"] and library.tags()["no"] == counts["reject"]
        select(library, "alpha >= 0.5", tag="yes", reject_tag="no")
        assert library.tags()["yes"] == counts["reject"] and library.tags()["no"] == counts["keep"]
        assert select(library, "tag(\"yes\")", show="keep", n=2, reason=False).shape == (2, 3)
        assert "yes" in stored(library, select(library, "tag(\"yes\")", show="keep", n=1).digest[0])["tags"]
        for wrong in (dict(show="all"), dict(n=0), dict(tag=" "), dict(tag="a", reject_tag="a"), dict(tag="a\nb")):
            with pytest.raises(BadOption):
                select(library, "alpha < 1", **wrong)


def test_only_pictures_below_a_place(where, photos):
    with open_library(where) as library:
        library.score(photos, "noise")
        (photos / "below").mkdir()
        (photos / "below" / "copy.jpg").write_bytes((photos / "03.jpg").read_bytes())
        library.score(photos, "noise")
        decided = lambda *paths: [p.rpartition("/")[2] for p in select(library, "noise >= 0", paths=[*paths]).path]
        assert decided(photos / "03.jpg", photos / "05.jpg") == ["03.jpg", "05.jpg"] and decided(photos / "below") == ["copy.jpg"]
        assert len(decided(photos)) == len(decided(photos.parent)) == 20
        with pytest.raises(LibraryError, match="not in this library"):
            decided(Path(__file__).parent)


def test_a_library_may_know_scorers_that_are_not_installed(where, rows):
    with open_library(where) as library:
        fill(library, rows)
        hand = {name: scorers_by_hand.pop(name) for name in ("alpha", "beta")}
        try:
            with pytest.raises(UnknownName):
                parse("alpha.detail < 1")
            assert select(library, "alpha.detail < 1 & beta < 4").attrs["counts"]["keep"] > 0
        finally:
            scorers_by_hand.update(hand)


def test_values_for_are_what_memory_tests(where, rows):
    with open_library(where) as library:
        fill(library, rows)
        expression = parse("alpha < 0.5 | camera has \"T5\" & aspect > 1 | tag(\"keep\")")
        with library.database.read() as c:
            ids = dict(c.execute(sa.select(t.pictures.c.digest, t.pictures.c.id)).all())
        values = values_for(library, ids.values(), expression)
        assert [expression.test(values[ids[f"{i:064x}"]]) for i in range(len(rows))] == [expression.test(row) for row in rows]


def test_unmeasured_is_the_reason(where, rows):
    with open_library(where) as library:
        fill(library, rows)
        lacking = next(i for i, row in enumerate(rows) if "alpha.score" not in row)
        with library.database.write() as c:
            output = c.execute(sa.select(t.outputs.c.id).join(t.scorers).where(t.scorers.c.name == "alpha", t.outputs.c.position == 0)).scalar()
            picture = c.execute(sa.select(t.pictures.c.id).where(t.pictures.c.digest == f"{lacking:064x}")).scalar()
            c.execute(sa.insert(t.unmeasured).values(picture_id=picture, output_id=output, reason="its shorter side is 40 px", run_id=1))
        assert select(library, "alpha < 1").reason[lacking] == "alpha: its shorter side is 40 px"


def test_facts_are_documented():
    assert all(kind in ("number", "text", "time") and help for kind, help in FACTS.values())
