"""The database: migrations, versions, many writers, backups, odd names."""

import os
import sqlite3
import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from zenkai_research.core.errors import LibraryError
from zenkai_research.storage import catalog
from zenkai_research.storage.database import Database, migrate, upsert
from zenkai_research.storage.schema import SCHEMA_VERSIONS, files, now, pictures, tables

def test_migrations_build_the_schema(where):
    "What the migrations make is what the schema says, on both databases."
    database = Database(where)
    with database.read() as c:
        context = MigrationContext.configure(c, opts={"compare_type": True})
        assert compare_metadata(context, tables) == []
    database.close()


def test_versions_are_the_migrations():
    scripts = ScriptDirectory(os.path.join(os.path.dirname(catalog.__file__), "migrations"))
    assert [s.revision for s in reversed(list(scripts.walk_revisions()))] == SCHEMA_VERSIONS


def test_migrations_can_be_undone(where):
    database = Database(where)
    with database.write() as c:
        for table in reversed(tables.sorted_tables):
            c.execute(sa.delete(table))
    with database.engine.connect().execution_options(writes=True) as c, c.begin():
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "zenkai_research.storage:migrations")
        config.attributes["connection"] = c
        command.downgrade(config, "base")
        assert set(sa.inspect(c).get_table_names()) == {"alembic_version"}
        migrate(c)
    database.close()


def test_a_library_from_the_future_is_refused(where):
    Database(where).close()
    database = Database(where)
    with database.write() as c:
        c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(LibraryError, match="newer zenkai_research .*update the package"):
        Database(where)


def test_an_old_library_is_upgraded_here_and_asked_about_when_shared(where, monkeypatch):
    import zenkai_research.storage.database as module

    Database(where).close()
    monkeypatch.setattr(module, "SCHEMA_VERSIONS", [*SCHEMA_VERSIONS, "9001"])
    monkeypatch.setattr(module, "migrate", lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '9001'")))
    if "://" in where:
        with pytest.raises(LibraryError, match="zenkai library upgrade"):
            Database(where)
        Database(where, upgrade=True).close()
    else:
        Database(where).close()
        assert os.path.exists(f"{where}.before-9001")
    Database(where).close()


def test_what_is_no_library_is_refused(tmp_path):
    (tmp_path / "text.sqlite").write_text("hello")
    with pytest.raises(LibraryError, match="not a database"):
        Database(tmp_path / "text.sqlite")
    assert (tmp_path / "text.sqlite").read_text() == "hello"
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE files (name TEXT)")
    other.close()
    with pytest.raises(LibraryError, match="not a zenkai_research library"):
        Database(tmp_path / "other.sqlite")
    with pytest.raises(LibraryError, match="is a folder"):
        Database(tmp_path)
    with pytest.raises(LibraryError, match="SQLite file or a postgresql"):
        Database("mysql://somewhere/photos")


def test_passwords_do_not_show():
    with pytest.raises(LibraryError) as caught:
        Database("postgresql://ada:secret@127.0.0.1:1/photos")
    assert "secret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_many_open_a_new_library_at_once(where):
    failures = []

    def work():
        try:
            Database(where).close()
        except Exception as e:
            failures.append(e)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert failures == []


def test_many_writers_take_turns(where):
    "Eight writers, each with its own connection, none of them turned away and nothing lost."
    databases = [Database(where) for _ in range(8)]
    failures = []

    def work(number):
        try:
            for i in range(25):
                with databases[number].write() as c:
                    upsert(c, pictures, [dict(digest=f"{number}-{i}", bytes=1, added=now())], ("digest",))
        except Exception as e:
            failures.append(e)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert failures == []
    with databases[0].read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(pictures)).scalar() == 200
    for d in databases:
        d.close()


def test_a_transaction_is_whole_or_not_at_all(where):
    database = Database(where)
    with pytest.raises(ZeroDivisionError), database.write() as c:
        upsert(c, pictures, [dict(digest="a", bytes=1, added=now())], ("digest",))
        1 / 0  # noqa: B018
    with database.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(pictures)).scalar() == 0
    database.close()


ODD_NAMES = ["naïve.jpg", "写真 2024.jpg", "two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff\xfe\x80.jpg"), "e\u0301.jpg", "🏔.jpg"]


def test_any_file_name_survives(where):
    database = Database(where)
    with database.write() as c:
        run = catalog.start_run(c, {}, {})
        root, _ = catalog.root_for(c, "/photos")
        catalog.put_files(c, [dict(root_id=root, path=n, picture_id=None, size=1, mtime_ns=1, raw=None) for n in ODD_NAMES], run)
    with database.read() as c:
        assert set(c.execute(sa.select(files.c.path)).scalars()) == set(ODD_NAMES)
        assert set(catalog.known_files(c, root, ODD_NAMES)) == set(ODD_NAMES)
    database.close()


def test_names_that_differ_in_case_are_different_folders(where):
    "Marking what is gone below `may` leaves `May` alone."
    database = Database(where)
    with database.write() as c:
        first = catalog.start_run(c, {}, {})
        root, _ = catalog.root_for(c, "/photos")
        picture = catalog.picture_ids(c, {"d" * 64: 1})["d" * 64]
        rows = [dict(root_id=root, path=p, picture_id=picture, size=1, mtime_ns=1, raw=None) for p in ("may/a.jpg", "May/a.jpg", "may_be/a.jpg")]
        catalog.put_files(c, rows, first)
        second = catalog.start_run(c, {}, {})
        assert catalog.miss_files(c, catalog.unseen_files(c, root, "may", second), second) == (1, 0)
    database.close()


def test_backup_is_whole_while_others_write(tmp_path):
    database = Database(tmp_path / "library.sqlite")
    stop = threading.Event()

    def write():
        i = 0
        while not stop.is_set():
            with database.write() as c:
                upsert(c, pictures, [dict(digest=f"{i}-{k}", bytes=1, added=now()) for k in range(10)], ("digest",))
            i += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copies = [database.backup(tmp_path / f"copy{n}.sqlite") for n in range(3)]
    finally:
        stop.set()
        writer.join()
    for path in copies:
        copy = Database(path)
        with copy.read() as c:
            assert c.execute(sa.select(sa.func.count()).select_from(pictures)).scalar() % 10 == 0
        copy.close()
    with pytest.raises(LibraryError, match="never overwrites"):
        database.backup(tmp_path / "copy0.sqlite")
    database.close()
    assert not list(tmp_path.glob("*.partial"))
