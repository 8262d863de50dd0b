"""What goes wrong in real life: several programs at once, crashes, full disks, moved mounts, odd names, changed settings and changed code."""

import dataclasses
import importlib.metadata
import itertools
import linecache
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from zenkai_research import open_library
from zenkai_research.core import registry
from zenkai_research.core.errors import BadOption, LibraryError, NotMeasurable, ScorerFailed
from zenkai_research.core.registry import get_scorer, register, resolve, scorer
from zenkai_research.core.scorer import Output, Pixels, Scorer, Scores
from zenkai_research.scoring import crashes, pipeline
from zenkai_research.storage import database as database_module
from zenkai_research.storage.database import Database
from zenkai_research.storage.schema import SCHEMA_VERSIONS, tables

@pytest.fixture(autouse=True)
def own_scorers(monkeypatch):
    "What a test registers is gone after it."
    monkeypatch.setattr(registry, "_session", dict(registry._session))

    @scorer("average", Output("score", "Mean of a small copy.", 0, 255, "higher"), needs=(Pixels(32),))
    def average(frame):
        return frame.rgb.mean()

    @scorer("choosy")
    def choosy(frame):
        if frame.rgb.shape[0] > 64: raise NotMeasurable("it is too high")
        return 1.0


def write_pictures(folder, numbers, name="{:03}.png"):
    "Small pictures, one for each number, always the same for the same number."
    folder.mkdir(parents=True, exist_ok=True)
    for place, number in enumerate(numbers):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name.format(place))
    return folder


def names(paths):
    return {os.path.basename(path) for path in paths}


def values(library, scorer):
    table = library.scores(scorer)
    return dict(zip(table.path.map(os.path.basename), table.value, strict=True))


# 1. Several processes at once

CHILD = """
import sys
from zenkai_research import open_library
print("up", flush=True)
sys.stdin.readline()
library = open_library(sys.argv[1])
for line in sys.stdin:
    report = library.score(line[:-1], ["contrast", "saturation"], threads=1, progress=False)
    print(report.found, report.failed, flush=True)
"""


@pytest.fixture
def two(where):
    "A function that has two processes score a folder each into one library, beginning at the same moment."
    options = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    children = [subprocess.Popen([sys.executable, "-c", CHILD, where], **options) for _ in range(2)]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("open\n")

    def score(*folders):
        for child, folder in zip(children, folders, strict=True):
            child.stdin.write(f"{folder}\n")
        said = [child.stdout.readline().strip() for child in children]
        for child, line in zip(children, said, strict=True):
            assert line, child.communicate(timeout=10)[1][-3000:]
        return said

    yield score
    for child in children:
        child.stdin.close()
        child.wait(timeout=20)
        child.stdout.close(), child.stderr.close()


def check_whole(where, folder, files, contents):
    "Every file once, every score once, no error, and nothing left to do."
    with open_library(where) as library:
        here = lambda table: table[table.path.str.startswith(f"{folder}/")]
        images, scores = here(library.images(missing=True)), here(library.scores())
        assert len(images) == files and images.path.is_unique and not images.missing.any()
        assert len(scores) == len(library.outputs()) * files > 0
        assert not scores.duplicated(["path", "scorer", "output"]).any() and images.digest.nunique() == contents
        assert len(library.errors()) == 0
        again = library.score(folder, ["contrast", "saturation"], threads=1)
        assert (again.found, again.known, again.new, again.missing, again.moved) == (files, files, 0, 0, 0)


def test_two_processes_score_one_new_folder(where, two, tmp_path):
    for turn in range(3):
        folder = write_pictures(tmp_path / f"turn{turn}", range(1000 * turn, 1000 * turn + 200))
        assert two(folder, folder) == ["200 0", "200 0"]
        check_whole(where, folder, 200, 200)


def test_two_processes_meet_the_same_contents_in_opposite_order(where, two, tmp_path):
    for turn in range(3):
        numbers = range(1000 * turn, 1000 * turn + 200)
        one, other = write_pictures(tmp_path / f"one{turn}", numbers), write_pictures(tmp_path / f"other{turn}", reversed(numbers))
        assert two(one, other) == ["200 0", "200 0"]
        check_whole(where, one, 200, 200)
        check_whole(where, other, 200, 200)


def test_one_process_scores_a_folder_while_another_scores_its_parent(where, two, tmp_path):
    for turn in range(3):
        parent = tmp_path / f"parent{turn}"
        inner = write_pictures(parent / "inner", range(1000 * turn, 1000 * turn + 100))
        write_pictures(parent / "later", range(1000 * turn + 100, 1000 * turn + 200))
        assert two(inner, parent) == ["100 0", "200 0"]
        check_whole(where, parent, 200, 200)
        with open_library(where) as library:
            assert [root["here"] for root in library.info()["roots"] if f"parent{turn}" in root["here"]] == [str(parent)]


# 2. Provenance: other settings, other code, other scores


@dataclasses.dataclass
class Scaled(Scorer):
    by: float = 1.0
    name = "scaled"
    outputs = (Output("score", "Mean times a setting."),)
    needs = (Pixels(32),)

    def measure(self, frame):
        return [self.by * frame.rgb.mean()]


class OnScaled(Scorer):
    name = "on_scaled"
    outputs = (Output("score", "One more than `scaled`."),)
    needs = (Scores("scaled"),)

    def measure(self, scaled):
        return [scaled[0] + 1]


@pytest.mark.parametrize("order", [1, -1], ids=["dependency first", "dependent first"])
def test_other_settings_of_a_dependency_are_other_scores(where, photos, order):
    "Neither class is registered: objects that build on each other find each other in their run."
    with open_library(where) as library:
        for by in (2.0, 3.0, 2.0):
            library.score(photos, [Scaled(by), OnScaled()][::order])
            scaled, on_scaled = values(library, "scaled"), values(library, "on_scaled")
            assert len(on_scaled) == 20 and all(np.isclose(on_scaled[n], scaled[n] + 1) for n in scaled)
        assert library.scores("on_scaled", every_version=True).fingerprint.nunique() == 2
        assert library.score(photos, [Scaled(3.0), OnScaled()]).known == 20, "computed again"
        assert len(library.errors()) == 0


def test_a_dependency_scored_alone_before(where, photos):
    "Stored scores of other settings are not built on."
    with open_library(where) as library:
        library.score(photos, Scaled(2.0))
        library.score(photos, Scaled(5.0))
        library.score(photos, [OnScaled(), Scaled(2.0)])
        assert library.scores("scaled", every_version=True).groupby("fingerprint").size().tolist() == [20, 20]
        scaled, on_scaled = values(library, "scaled"), values(library, "on_scaled")
        assert all(np.isclose(on_scaled[n], scaled[n] + 1) for n in scaled) and len(scaled) == 20


class Hidden(Scorer):
    name = "hidden"
    outputs = (Output("score", "Depends on a setting that it does not tell."),)

    def __init__(self, by=1.0):
        self.by = by


class HiddenInChild(Scaled):
    "A dataclass by inheritance only: `asdict` does not see `more`."

    def __init__(self, by=1.0, more=0.0):
        super().__init__(by)
        self.more = more


@pytest.mark.parametrize("cls", [Hidden, HiddenInChild])
def test_settings_have_to_be_in_the_identity(tmp_path, photos, cls):
    with pytest.raises(BadOption, match="identity"):
        register(cls)
    with open_library(tmp_path / "l.sqlite") as library, pytest.raises(BadOption, match="identity"):
        library.score(photos, cls(2.0))


@pytest.mark.parametrize("setting", [float("nan"), float("inf"), Path("weights.pt"), np.float32(0.5), np.int64(2), {1, 2}], ids=str)
def test_settings_that_are_no_json(tmp_path, photos, setting):
    with open_library(tmp_path / "l.sqlite") as library:
        with pytest.raises(BadOption, match="scaled.*identity"):
            library.score(photos, Scaled(setting))
        assert library.score(photos, "average").scored == 20 and library.info()["scorers"] == ["average"]


def test_equal_settings_are_equal(tmp_path, photos):
    with open_library(tmp_path / "l.sqlite") as library:
        library.score(photos, Scaled(2.0))
        assert library.score(photos, Scaled(2)).known == 20
        assert library.score(photos, Scaled(np.float64(2))).known == 20


_cells = itertools.count()


def run_cell(text, source=True):
    "Run code as a notebook does (its text can be found again), or as `python -c` does (it cannot)."
    name = f"<cell {next(_cells)}>" if source else "<string>"
    if source:
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)
    return space


FUNCTION = """
from zenkai_research import scorer
@scorer("edited", "score")
def edited(frame):
    return {}
"""
CLASS = """
from zenkai_research.core.scorer import Scorer, Output
class Edited(Scorer):
    name = "edited"
    outputs = (Output("score", ""),)
    def measure(self, frame):
        return [{}]
"""
EDITS = {"a number": ("1 + frame.rgb.mean()", "2 + frame.rgb.mean()"), "a name": ("frame.rgb.min()", "frame.rgb.max()")}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("source", [True, False], ids=["with source", "without source"])
def test_an_edited_function_gives_new_scores(tmp_path, photos, edit, source):
    before, after = EDITS[edit]
    with open_library(tmp_path / "l.sqlite") as library:
        run_cell(FUNCTION.format(before), source)
        library.score(photos, "edited")
        old = values(library, "edited")
        run_cell(FUNCTION.format(before), source)
        assert library.score(photos, "edited").known == 20, "run again without a change: the same scores"
        run_cell(FUNCTION.format(after), source)
        assert library.score(photos, "edited").scored == 20
        assert all(values(library, "edited")[n] != old[n] for n in old)


@pytest.mark.parametrize("registered", [True, False])
def test_an_edited_class_gives_new_scores(tmp_path, photos, registered):
    with open_library(tmp_path / "l.sqlite") as library:
        for text in EDITS["a name"]:
            cls = run_cell(CLASS.format(text))["Edited"]
            library.score(photos, register(cls).name if registered else cls())
        assert len(library.scores(every_version=True)) == 40


def test_an_edited_base_class_gives_new_scores(tmp_path, photos):
    with open_library(tmp_path / "l.sqlite") as library:
        for text in EDITS["a name"]:
            base = run_cell(CLASS.format(text))["Edited"]
            register(type("Child", (base,), {"name": "child"}))
            library.score(photos, "child")
        assert len(library.scores(every_version=True)) == 40


FACTORY = """
from zenkai_research import scorer
def make(by):
    @scorer("made", "score")
    def made(frame):
        return by * frame.rgb.mean()
"""


@pytest.mark.parametrize("source", [True, False], ids=["with source", "without source"])
def test_values_a_function_closes_over_give_new_scores(tmp_path, photos, source):
    make = run_cell(FACTORY, source)["make"]
    with open_library(tmp_path / "l.sqlite") as library:
        for by in (1.0, 2.0, 1.0):
            make(by)
            library.score(photos, "made")
        assert library.scores(every_version=True).fingerprint.nunique() == 2


FINGERPRINT = """
import dataclasses
from zenkai_research.core.registry import fingerprint, provenance, register
from zenkai_research.core.scorer import Output, Scorer
@register
@dataclasses.dataclass
class Sets(Scorer):
    kind: str = "red"
    name = "sets"
    outputs = (Output("score", ""),)
    def measure(self, frame):
        inner = lambda x: x in {"red", "green", "blue", "cyan"}
        return [float(inner(self.kind))]
print(fingerprint(provenance(Sets(), {})))
"""


def test_the_same_code_is_the_same_in_every_process():
    "Without source text too, whatever the addresses of objects and the order of sets."
    found = set()
    for seed in "123":
        done = subprocess.run([sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


def test_installed_names_are_taken():
    for name in ("sharpness", "technical"):
        with pytest.raises(BadOption, match=f"{name}.*choose another"):
            scorer(name)(lambda frame: 0.0)
    assert get_scorer("sharpness").name == "sharpness"


@pytest.fixture
def installed(monkeypatch):
    "A function that makes these the installed entry points."
    def install(points):
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        registry._installed.cache_clear()

    yield install
    monkeypatch.undo()
    registry._installed.cache_clear()


@pytest.mark.parametrize("order", [1, -1])
def test_two_packages_with_one_name(monkeypatch, installed, order):
    module = types.ModuleType("plugin_of_test")
    module.Scaled = Scaled
    monkeypatch.setitem(sys.modules, "plugin_of_test", module)
    ours = list(importlib.metadata.entry_points(group=registry.GROUP))
    others = {"scaled": "plugin_of_test:Scaled", "extra.both": "one_package:A", "both": "other_package:B", "color.sharpness": "one_package:Sharpness",
              "incomplete": "plugin_of_test:Missing"}
    installed([*(importlib.metadata.EntryPoint(name, value, registry.GROUP) for name, value in others.items()), *ours][::order])
    with pytest.raises(ScorerFailed, match="two packages") as caught:
        get_scorer("both")
    assert "one_package:A" in str(caught.value) and "other_package:B" in str(caught.value)
    assert type(get_scorer("sharpness")).__module__ == "zenkai_research.metrics.sharpness", "ours are nobody else's to replace"
    assert get_scorer("scaled") == Scaled() and "sharpness" in resolve("technical")
    with pytest.raises(ScorerFailed, match="plugin_of_test:Missing"):
        get_scorer("incomplete")
    table = registry.scorers().set_index("scorer")
    assert "two packages" in table.help["both"] and len(table.loc[["scaled"]]) == 1


# 3. Migrations

MIGRATION = '''
"""A wider schema, as a later version might have it."""
import os
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9001", "0002"

def upgrade():
    with op.batch_alter_table("outputs") as table:
        table.add_column(sa.Column("colour", sa.Text))
        table.alter_column("help", existing_type=sa.Text(), nullable=True)
    if os.path.exists({stop!r}): raise RuntimeError("the power is gone")
    with op.batch_alter_table("pictures") as table:
        table.alter_column("bytes", existing_type=sa.BigInteger(), nullable=True)
        table.add_column(sa.Column("sharp", sa.Float))
'''


@pytest.fixture
def later_version(tmp_path, monkeypatch):
    "A function that makes this package one whose schema is a version newer; gives the file that, as long as it is there, stops the upgrade half-way."
    def update():
        shutil.copytree(Path(database_module.__file__).parent / "migrations", tmp_path / "migrations")
        (tmp_path / "migrations" / "versions" / "9001_wider.py").write_text(MIGRATION.format(stop=str(tmp_path / "stop")))

        def migrate(connection, to="head"):
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(tmp_path / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, to)

        monkeypatch.setattr(database_module, "migrate", migrate)
        monkeypatch.setattr(database_module, "SCHEMA_VERSIONS", [*SCHEMA_VERSIONS, "9001"])
        return tmp_path / "stop"

    return update


def rows_of(database):
    "All rows of all tables, as far as this version's columns go."
    with database.read() as c:
        return {t.name: sorted(map(repr, c.execute(sa.select(*t.c)).all())) for t in tables.sorted_tables}


def raw_schema(where):
    "Version and tables, looked at without our own code."
    engine = sa.create_engine(database_module.database_url(where))
    with engine.connect() as c:
        found = c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar(), sorted(sa.inspect(c).get_table_names())
        columns = {column["name"] for column in sa.inspect(c).get_columns("outputs")}
    engine.dispose()
    return *found, columns


def populated(where, photos):
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with open_library(where) as library:
        library.score(photos, ["average", "choosy", "technical"])
        library.tag(photos / "03.jpg", "keep")
        before = rows_of(library.database)
    assert all(before[t] for t in before), "every table has rows"
    return before


def test_an_upgrade_loses_nothing(where, photos, later_version):
    before = populated(where, photos)
    later_version()
    with open_library(where, upgrade=True) as library:
        assert rows_of(library.database) == before and "sharp" in {c["name"] for c in sa.inspect(library.database.engine).get_columns("pictures")}
        Image.new("RGB", (40, 30), (1, 2, 3)).save(photos / "new.png")
        report = library.score(photos, ["average", "choosy", "technical"])
        assert (report.known, report.new, report.scored) == (20, 1, 1), "the upgraded library works"
        with library.database.write() as c:  # references still hold, and point at the right tables
            c.execute(sa.text("DELETE FROM scorers"))
        assert rows_of(library.database)["outputs"] == rows_of(library.database)["scores"] == []
    if "://" not in where:
        with sqlite3.connect(f"{where}.before-9001") as copy:
            assert copy.execute("SELECT COUNT(*) FROM scores").fetchone()[0] == len(before["scores"])
        copy.close()


def test_an_interrupted_upgrade_changes_nothing(where, photos, later_version):
    before = populated(where, photos)
    schema_before = raw_schema(where)
    stop = later_version()
    stop.write_text("")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="power"):
            Database(where, upgrade=True)
        assert raw_schema(where) == schema_before
    stop.unlink()
    with open_library(where, upgrade=True) as library:
        assert rows_of(library.database) == before
    assert raw_schema(where)[0] == "9001"


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
@pytest.mark.parametrize("made", [["notes"], ["alembic_version", "files", "notes"]], ids=["plain", "with Alembic"])
def test_a_database_of_others_is_left_as_it_is(tmp_path, mode, made):
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA journal_mode = {mode}")
    for name in made:
        other.execute(f"CREATE TABLE {name} (version_num TEXT)")
        other.execute(f"INSERT INTO {name} VALUES ('hello')")
    other.commit()
    other.close()
    before = path.read_bytes()
    for upgrade in (False, True):
        with pytest.raises(LibraryError, match="not a zenkai_research library"):
            Database(path, upgrade=upgrade)
        assert path.read_bytes() == before and os.listdir(tmp_path) == ["other.sqlite"]


def test_a_postgresql_database_of_others_is_left_as_it_is(postgres):
    url = postgres()
    engine = sa.create_engine(database_module.database_url(url))
    with engine.begin() as c:
        c.execute(sa.text("CREATE TABLE notes (text TEXT)"))
    for upgrade in (False, True):
        with pytest.raises(LibraryError, match="not a zenkai_research library"):
            Database(url, upgrade=upgrade)
    assert sa.inspect(engine).get_table_names() == ["notes"]
    engine.dispose()


# 4. What is gone, what has moved


def counts(report):
    return dict(new=report.new, moved=report.moved, missing=report.missing, edited=report.edited)


def test_a_hidden_file_scored_by_name_is_not_missing(where, photos):
    (photos / "00.jpg").rename(photos / ".hidden.jpg")
    with open_library(where) as library:
        library.score([photos / ".hidden.jpg", photos / "01.jpg"], "average")
        report = library.score(photos, "average")
        assert (report.found, report.missing, report.moved) == (19, 0, 0)
        assert ".hidden.jpg" in names(library.images().path)
        (photos / ".hidden.jpg").unlink()
        assert library.score(photos, "average").missing == 1


def closed(monkeypatch, *folders):
    real = os.scandir

    def scandir(path):
        if os.path.basename(os.fspath(path).rstrip("/")) in folders:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_could_not_be_listed_and_then_can(where, photos, monkeypatch):
    for n, folder in enumerate(("one", "two")):
        (photos / folder).mkdir()
        (photos / f"0{n}.jpg").rename(photos / folder / f"0{n}.jpg")
    with open_library(where) as library:
        with monkeypatch.context() as patch:
            closed(patch, "one", "two")
            report = library.score(photos, "average")
            assert (report.failed, report.found, report.missing) == (2, 18, 0) and names(library.errors().path) == {"one", "two"}
        with monkeypatch.context() as patch:
            closed(patch, "two")
            report = library.score(photos, "average")
            assert (report.found, report.missing) == (19, 0)
            assert names(library.errors().path) == {"two"}, "the folder that can be listed again has no error any more"
        report = library.score(photos, "average")
        assert (report.found, report.missing, report.moved, report.failed, report.new) == (20, 0, 0, 0, 1)
        assert len(library.errors()) == 0 and library.info()["missing"] == 0 and len(library.images(missing=True)) == 20


def test_two_copies_replaced_by_one(where, photos):
    shutil.copy(photos / "00.jpg", photos / "copy.jpg")
    with open_library(where) as library:
        library.score(photos, "average")
        (photos / "00.jpg").unlink()
        (photos / "copy.jpg").rename(photos / "third.jpg")
        assert counts(library.score(photos, "average")) == dict(new=0, moved=1, missing=1, edited=0)
        assert counts(library.score(photos, "average")) == dict(new=0, moved=0, missing=0, edited=0)


def test_two_copies_in_two_sources_replaced_by_one(where, photos):
    one, other = photos / "one", photos / "other"
    for folder in (one, other):
        folder.mkdir()
        shutil.copy(photos / "00.jpg", folder / "copy.jpg")
        shutil.copy(photos / "01.jpg", folder / "stays.jpg")
    with open_library(where) as library:
        library.score([one, other], "average")
        (one / "copy.jpg").rename(one / "third.jpg")
        (other / "copy.jpg").unlink()
        assert counts(library.score([one, other], "average")) == dict(new=0, moved=1, missing=1, edited=0), "one arrival makes up for one loss"


def test_moved_between_two_sources_of_one_call(where, photos):
    one, other = photos / "one", photos / "other"
    for n, folder in enumerate((one, other)):
        folder.mkdir()
        (photos / f"0{n}.jpg").rename(folder / f"0{n}.jpg")
        (photos / f"0{n + 2}.jpg").rename(folder / f"0{n + 2}.jpg")
    with open_library(where) as library:
        library.score([one, other], "average")
        (one / "00.jpg").rename(other / "moved.jpg")
        (other / "01.jpg").rename(one / "moved.jpg")
        assert counts(library.score([one, other], "average")) == dict(new=0, moved=2, missing=0, edited=0)
        assert len(library.images(missing=True)) == 4


def test_an_archive_becomes_a_folder(where, photos):
    place = photos / "album.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for n in (0, 1):
            archive.write(photos / f"0{n}.jpg", f"0{n}.jpg")
    with open_library(where) as library:
        assert library.score(place, "average").scored == 2
        place.unlink()
        place.mkdir()
        shutil.copy(photos / "05.jpg", place / "00.jpg")
        report = library.score(place, "average")
        assert (report.found, report.scored, report.edited) == (1, 1, 0)
        from zenkai_research.images.hashing import content_digest

        now = content_digest((place / "00.jpg").read_bytes())
        assert library.picture(place / "00.jpg")["digest"] == now, "a path means what is there now"
        assert library.read(place / "00.jpg") == (place / "00.jpg").read_bytes()
        assert sorted(library.images().digest) == [now], "what the archive held is gone"


# 5., 6. Errors that stay and go, scores that are not hidden

broken = set()


class Flaky(Scorer):
    "Fails for as long as a test says so: what it depends on (a server, say) comes and goes."

    outputs = (Output("score", "May fail.", better="higher"),)
    needs = (Pixels(32),)

    def measure(self, frame):
        if self.name in broken:
            raise RuntimeError("out of order")
        return [frame.rgb.mean()]


@pytest.fixture
def flaky():
    broken.clear()
    yield [type(name, (Flaky,), {"name": name})() for name in ("left", "right")]
    broken.clear()


def test_a_run_forgets_only_errors_it_could_have_caused(where, photos, flaky):
    left, right = flaky
    broken.update(("left", "right"))
    with open_library(where) as library:
        assert library.score(photos, [left, right]).failed == 20
        broken.clear()
        library.score(photos, [right])
        library.score(photos, "average")
        library.score(photos, "average")
        assert set(library.errors().scorer) == {"left"} and len(library.errors()) == 20
        library.score(photos, [left])
        assert len(library.errors()) == 0


def test_an_edited_file_has_no_errors_of_what_it_was(where, photos, flaky):
    broken.add("left")
    with open_library(where) as library:
        library.score(photos, [flaky[0]])
        Image.new("RGB", (50, 40), (9, 80, 30)).save(photos / "00.jpg")
        assert library.score(photos, "average").edited == 1
        assert "00.jpg" not in names(library.errors().path) and len(library.errors()) == 19


def test_a_copy_scored_later_clears_the_first_files_error(where, photos, flaky):
    broken.add("left")
    copies = photos.parent / "copies"
    shutil.copytree(photos, copies)
    with open_library(where) as library:
        library.score(photos, [flaky[0]])
        broken.clear()
        assert library.score(copies, [flaky[0]]).scored == 20
        assert library.score(photos, [flaky[0]]).known == 20
        assert len(library.errors()) == 0


class Stopping(Scorer):
    "Gives eight pictures' scores a window, and then somebody presses Ctrl-C."

    name = "scaled"
    outputs = (Output("score", "Zero."),)
    needs = (Pixels(32),)
    batch_size = 8

    def __init__(self, after):
        self.left = self.after = after

    def identity(self):
        return {"after": self.after}

    def score(self, frames):
        if self.left <= 0:
            raise KeyboardInterrupt
        self.left -= len(frames)
        return np.zeros((len(frames), 1))


def test_empty_and_interrupted_runs_hide_no_scores(where, photos):
    (photos.parent / "empty").mkdir()
    with open_library(where) as library:
        library.score(photos, Scaled(2.0))
        before = values(library, "scaled")
        assert library.score(photos.parent / "empty", Scaled(7.0)).found == 0
        assert values(library, "scaled") == before
        with pytest.raises(KeyboardInterrupt):
            library.score(photos, Stopping(8))
        assert values(library, "scaled") == before
        with pytest.raises(BadOption):
            library.score(photos, Scaled(float("nan")))
        assert values(library, "scaled") == before


def test_what_an_interrupted_first_run_scored_can_be_seen(where, tmp_path):
    "A run stopped after a window leaves that window's scores, and shows them."
    folder = write_pictures(tmp_path / "many", range(200))
    with open_library(where) as library:
        with pytest.raises(KeyboardInterrupt):
            library.score(folder, Stopping(64), threads=1)
        with library.database.read() as c:
            stored = c.execute(sa.text("SELECT COUNT(*) FROM scores")).scalar()
        assert stored == 64 and len(library.scores()) == stored and library.info()["scorers"] == ["scaled"]


# 7. Odd names

ODD = ["naïve.jpg", "写真 2024.jpg", "two\nlines.jpg", "per%20cent?.jpg", "tab\t.jpg", " space .jpg",
       os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff\xfe\x80.jpg"),
       "e\u0301.jpg", "é.jpg", "\U0001f3d4.jpg", "\U0010ffaa.jpg", "\u202egpj.jpg", "back\\slash.jpg"]


def test_odd_names_all_the_way(where, photos):
    folder = photos / os.fsdecode(b"fold\xe9r \xf0")
    folder.mkdir()
    for n, name in enumerate(ODD):
        (photos / f"{n:02}.jpg").rename(folder / name)
    with open_library(where) as library:
        assert library.score(folder, "average").scored == len(ODD)
        for table in (library.images(), library.scores(), library.top("average", 50)):
            assert set(table.path) == {str(folder / name) for name in ODD} and all(map(os.path.exists, table.path))
        for path in library.images().path:
            library.tag(path, "odd")
            assert library.read(path) == Path(path).read_bytes() and library.picture(path)["paths"] == [path]
        library.tag(library.images().path, "all")
        assert library.tags() == {"all": len(ODD), "odd": len(ODD)} and len(library.top("average", 50, tag="odd")) == len(ODD)
        assert library.score(photos, "average").known == len(ODD), "and found again from the folder above"
        assert all(map(os.path.exists, library.images().path)) and library._repr_html_()
        (folder / ODD[6]).write_bytes(b"")
        (folder / ODD[7]).unlink()
        report = library.score(photos, "average")
        assert (report.failed, report.missing) == (1, 1) and list(library.errors().path) == [str(folder / ODD[6])]


# 8. Bad luck of all kinds


@pytest.mark.parametrize("error", [SystemExit(3), SystemExit("a\0b \ud800 \udcff\n"), ValueError("nul \0 and \ud83d alone"), RecursionError(), MemoryError()],
                         ids=lambda e: type(e).__name__)
def test_a_scorer_that_raises_whatever(where, photos, error):
    @scorer("raises", needs=(Pixels(32),))
    def raises(frame):
        raise error

    with open_library(where) as library:
        report = library.score(photos, ["raises", "average"])
        assert (report.failed, report.scored) == (20, 20) and len(library.scores("average")) == 20
        assert len(library.errors()) == 20 and library.errors().reason.str.startswith(type(error).__name__).all()
        assert library.runs().state.iloc[-1] == "finished"


def test_dates_no_clock_should_show(where, photos):
    for n, year in enumerate((2300, 1900, 2261, 1)):
        seconds = int((year - 1970) * 365.2425 * 86400)
        try:
            os.utime(photos / f"0{n}.jpg", ns=(seconds * 10**9, seconds * 10**9))
        except OSError:
            pytest.skip("this file system keeps no such dates")
    with open_library(where) as library:
        assert library.score(photos, "average").scored == 20
        again = library.score(photos, "average")
        assert (again.known, again.failed, again.edited) == (20, 0, 0) and len(library.errors()) == 0


SLOW = """
import sys, time
from zenkai_research import open_library, scorer
@scorer("slow")
def slow(frame):
    print("scoring", flush=True)
    time.sleep(0.4)
    return 0.0
with open_library(sys.argv[1]) as library: library.score(sys.argv[2], ["slow", "contrast"], threads=2, progress=False)
"""


@pytest.mark.parametrize("pause", [0.02, 0.4], ids=["at once", "a moment later"])
def test_control_c_twice(where, photos, pause):
    child = subprocess.Popen([sys.executable, "-c", SLOW, where, photos], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    for _ in range(2):
        child.send_signal(signal.SIGINT)
        time.sleep(pause)
    begun, said = child.communicate(timeout=30)
    assert child.returncode != 0 and "KeyboardInterrupt" in said and begun.count("scoring") < 10
    with open_library(where) as library:
        report = library.score(photos, "contrast")
        assert report.found == 20 and len(library.scores("contrast")) % 20 == 0 and len(library.scores("contrast")) > 0
        assert library.runs().state.tolist() == ["interrupted", "finished"] and len(library.errors()) == 0


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads(tmp_path, photos, threads):
    with open_library(tmp_path / "l.sqlite") as library:
        with pytest.raises(BadOption, match="threads"):
            library.score(photos, "average", threads=threads)
        assert len(library.runs()) == 0


def limited(library, pragma):
    "From now on every connection of a SQLite library begins with this pragma; gives a function that ends that."
    engine = library.database.engine
    listener = lambda connection, _: connection.execute(pragma)
    sa.event.listen(engine, "connect", listener)
    engine.dispose()

    def end():
        sa.event.remove(engine, "connect", listener)
        engine.dispose()

    return end


def test_a_full_disk(tmp_path):
    folder = write_pictures(tmp_path / "many", range(300))
    with open_library(tmp_path / "l.sqlite") as library:
        with library.database.read() as c:
            pages = c.exec_driver_sql("PRAGMA page_count").scalar()
        end = limited(library, f"PRAGMA max_page_count = {pages + 30}")
        with pytest.raises(LibraryError, match="l.sqlite: .*full"):
            library.score(folder, ["average", "technical"], threads=2)
        stored = len(library.scores("average")) if library.info()["scorers"] else 0
        assert stored < 300
        end()
        report = library.score(folder, ["average", "technical"])
        assert report.found == 300 and len(library.scores("average")) == 300 and library.info()["errors"] == 0


def test_a_library_that_cannot_be_written(tmp_path, photos):
    with open_library(tmp_path / "l.sqlite") as library:
        library.score(photos, "average")
        end = limited(library, "PRAGMA query_only = ON")
        with pytest.raises(LibraryError, match="l.sqlite: .*readonly"):
            library.score(photos, "average")
        with pytest.raises(LibraryError, match="readonly"):
            library.tag(photos / "00.jpg", "x")
        assert len(library.scores()) == 20, "reading needs no writing"
        end()
    for place in ("/proc/library.sqlite", "/proc/new/library.sqlite"):
        if os.path.isdir("/proc"):
            with pytest.raises(LibraryError, match=place):
                open_library(place)


# 9. Mounts and machines


@pytest.fixture
def on(monkeypatch):
    return lambda name: monkeypatch.setenv("ZENKAI_MACHINE", name)


def test_two_machines_with_other_pictures_at_one_path(postgres, tmp_path, on):
    url, place = postgres(), tmp_path / "photos"
    with open_library(url) as library:
        on("ada")
        write_pictures(place, range(5))
        assert library.score(place, "average").new == 5
        place.rename(tmp_path / "of ada")
        on("bob")
        write_pictures(place, range(100, 108))
        report = library.score(place, "average")
        assert counts(report) == dict(new=8, moved=0, missing=0, edited=0) and report.scored == 8
        assert library.images().digest.nunique() == 13 and library.info()["missing"] == 0
        assert library.read(place / "000.png") == (place / "000.png").read_bytes(), "a path means the picture of this machine"
        place.rename(tmp_path / "of bob")
        (tmp_path / "of ada").rename(place)
        on("ada")
        assert library.read(place / "000.png") == (place / "000.png").read_bytes()
        assert counts(library.score(place, "average")) == dict(new=0, moved=0, missing=0, edited=0)


def test_mount_widen_mount_back(where, tmp_path, on):
    first, second = tmp_path / "first" / "photos", tmp_path / "second" / "photos"
    write_pictures(first / "2020", range(5))
    write_pictures(first / "2021", range(10, 15))
    nothing = dict(new=0, moved=0, missing=0, edited=0)
    with open_library(where) as library:
        on("ada")
        library.score(first / "2020", "average")
        shutil.copytree(tmp_path / "first", tmp_path / "second")
        on("bob")
        library.mount(str(first / "2020"), str(second / "2020"))
        assert counts(library.score(second / "2020", "average")) == nothing and len(library.images(missing=True)) == 5
        on("ada")
        report = library.score(first, "average")  # the root grows on one machine, and by that on the other
        assert (report.new, report.known, report.missing) == (5, 5, 0)
        on("bob")
        assert all(path.startswith(f"{second}/") for path in library.images().path)
        assert counts(library.score(second, "average")) == nothing and len(library.images(missing=True)) == 10
        assert library.score(second / "2021", "average").known == 5
        library.mount(str(second), str(first))
        assert all(path.startswith(f"{first}/") for path in library.images().path)
        assert counts(library.score(first, "average")) == nothing and len(library.info()["roots"]) == 1
        library.mount(str(first), str(second))
        assert all(path.startswith(f"{second}/") for path in library.images().path)
        on("ada")
        assert counts(library.score(first, "average")) == nothing and len(library.images(missing=True)) == 10


def test_mount_over_a_root_of_this_machine(postgres, tmp_path, on):
    "Two machines scored one share before anybody said that it is one: afterwards each file is there once."
    first, second = write_pictures(tmp_path / "first", range(5)), write_pictures(tmp_path / "second", range(5))
    with open_library(postgres()) as library:
        on("ada")
        library.score(first, "average")
        on("bob")
        library.score(second, "average")
        library.mount(str(first), str(second))
        library.score(second, "average")
        assert sorted(library.images().path) == sorted(map(str, second.iterdir()))


def test_containers(where, photos, monkeypatch):
    "A container's own name changes each time. A library in a file does not care; a shared one is told the name."
    import platform

    monkeypatch.delenv("ZENKAI_MACHINE", raising=False)
    shared = "://" in where
    with open_library(where) as library:
        for n in range(3):
            monkeypatch.setattr(platform, "node", lambda n=n: f"container{n}")
            if shared:
                monkeypatch.setenv("ZENKAI_MACHINE", "nas")
            report = library.score(photos, "average")
            assert (report.new, report.known) == ((20, 0) if n == 0 else (0, 20))
        assert len(library.info()["roots"]) == 1 and library.info()["roots"][0] == {"here": str(photos)}


# 10. Pictures that crash their decoder

DYING = """
import ctypes, sys
from zenkai_research.images import decode
real = decode.decode_frames
def dying(data, sizes, name):
    if name.endswith("07.jpg"): ctypes.string_at(0)
    return real(data, sizes, name)
decode.decode_frames = dying
from zenkai_research import open_library
open_library(sys.argv[1]).score(sys.argv[2], ["contrast"], threads=2, progress=False)
"""


def test_a_picture_that_kills_its_decoder(where, photos, monkeypatch):
    done = subprocess.run([sys.executable, "-c", DYING, where, photos], capture_output=True)
    assert done.returncode == -signal.SIGSEGV
    tried, cured, culprit = [], False, (photos / "07.jpg").read_bytes()

    def survives(data, sizes, name, seconds=120):
        tried.append(os.path.basename(name))
        return cured or data != culprit

    monkeypatch.setattr(pipeline, "survives", survives)
    with open_library(where) as library:
        report = library.score(photos, "contrast")
        assert "07.jpg" in tried and len(tried) <= 2, "only what was being decoded is suspect"
        assert (report.scored, report.failed) == (19, 1), "an innocent suspect is scored like the others"
        errors = library.errors()
        assert errors.stage.tolist() == ["crash"] and names(errors.path) == {"07.jpg"}
        assert library.runs().state.tolist() == ["interrupted", "finished"]
        tried.clear()
        assert library.score(photos, "contrast").failed == 1 and tried == ["07.jpg"], "tried again, in a process of its own"
        shutil.copy(photos / "07.jpg", photos / "copy.jpg")
        tried.clear()
        assert library.score(photos / "copy.jpg", "contrast").failed == 1 and tried == ["copy.jpg"], "it is the content that crashes"
        cured = True
        library.score(photos, "contrast")
        assert len(library.scores()) == 21 * len(library.outputs()) and len(library.errors()) == 0
        tried.clear()
        assert library.score(photos, "contrast").known == 21 and tried == []


def test_suspects_outlive_a_second_crash(where, photos):
    "A run that dies before it comes to the suspects hands them on."
    name = str(Database(where))
    digests = {f"{i:064x}" for i in range(3)}
    first = crashes.Journal(name, 2)
    assert first.suspects == set()
    os.pwrite(first._file, "".join(digests).encode(), 0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = lambda journal: journal.path.rename(journal.path.with_name(journal.path.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")))
    gone(first)
    second = crashes.Journal(name, 1)
    assert second.suspects == digests
    gone(second)
    with crashes.Journal(f"{name}, another", 2) as other:
        assert other.suspects == set()
    with crashes.Journal(name, 4) as third:
        assert third.suspects == digests
    with crashes.Journal(name, 4) as fourth:
        assert fourth.suspects == set(), "a run that came to its end has cleared them"


def test_survives(photos, monkeypatch):
    picture = (photos / "00.jpg").read_bytes()
    assert crashes.survives(picture, [None, 128], "00.jpg") and crashes.survives(b"no picture", [None], "x.jpg"), "an ordinary error is no crash"
    monkeypatch.setattr(crashes, "_TRY", "import os; os.abort()")
    assert not crashes.survives(picture, [None], "00.jpg")
    monkeypatch.setattr(crashes, "_TRY", "import time; time.sleep(60)")
    assert not crashes.survives(picture, [None], "00.jpg", seconds=0.5)
