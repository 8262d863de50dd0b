"""The project itself: notebooks run and are in sync, rooms keep their order, style holds, start-up is quick."""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PROJECT

NOTEBOOKS = sorted(p for p in (PROJECT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def run(*command, **options):
    done = subprocess.run(command, cwd=options.pop("cwd", PROJECT), capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def script(name):
    "A command of the environment the tests run in."
    return os.path.join(os.path.dirname(sys.executable), name)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: str(p.relative_to(PROJECT / "nbs")))
def test_notebook_runs(notebook, tmp_path):
    "Every notebook runs from top to bottom, as a reader would run it."
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    env = os.environ | {"MPLBACKEND": "agg"}
    NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute(env=env)


def test_notebooks_are_clean():
    "No outputs, stable ids, format 4.5: a notebook's diff shows what was written and nothing else."
    for path in NOTEBOOKS:
        book = json.loads(path.read_text())
        assert (book["nbformat"], book["nbformat_minor"]) == (4, 5), path
        ids = [cell["id"] for cell in book["cells"]]
        assert len(set(ids)) == len(ids), path
        for cell in book["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None, f"{path} holds outputs: run nbdev_clean"
            assert not set(cell["metadata"]) - {"tags"}, f"{path} holds cell metadata: run nbdev_clean"


def test_export_is_in_sync(tmp_path):
    "The package is what the notebooks export, to the letter."
    for name in ("settings.ini", "pyproject.toml", "nbs", "zenkai_research"):
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name, **({"ignore": shutil.ignore_patterns("__pycache__")} if source.is_dir() else {}))
    run(script("nbdev_export"), cwd=tmp_path)

    def differences(one, other):
        found = filecmp.dircmp(one, other, ignore=["__pycache__"])
        same, changed, odd = filecmp.cmpfiles(one, other, found.common_files, shallow=False)
        here = [*changed, *odd, *found.left_only, *found.right_only]
        below = (differences(one / name, other / name) for name in found.common_dirs)
        return [str(one / name) for name in here] + [name for names in below for name in names]

    assert differences(PROJECT / "zenkai_research", tmp_path / "zenkai_research") == [], "run nbdev_export"


def test_style():
    run(sys.executable, "-m", "ruff", "check", "zenkai_research", "tests", "experiments")


def test_rooms_keep_their_order():
    "A room imports only from rooms above it in ARCHITECTURE.md (import-linter)."
    run(script("lint-imports"), "--no-cache")


def test_rooms_of_the_contract_are_the_rooms_there_are():
    import tomllib

    layers = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {p.parent.name for p in (PROJECT / "zenkai_research").glob("*/__init__.py")}
    assert set(layers) == rooms
    text = (PROJECT / "ARCHITECTURE.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == layers[::-1], "the table of rooms goes from the lowest layer to the highest"


def test_the_check_runs_the_commands_of_the_readme(tmp_path):
    "What `.ci/run` cuts out of the README is two commands, whole; where one is not found the check fails instead of running nothing."
    check, readme = (PROJECT / ".ci" / "run").read_text(), (PROJECT / "README.md").read_text()
    cut = check[check.index("readme()"):check.index("set -x")] + 'printf "%s\\n" "$run" "$test"'
    assert check.rstrip().endswith('bash -euo pipefail -c "$run"\nbash -euo pipefail -c "$test"')
    (tmp_path / "README.md").write_text(readme)
    commands = run("bash", "-euo", "pipefail", "-c", cut, cwd=tmp_path).splitlines()
    for marker, command, last in zip(("run it", "test it"), commands, (".venv/bin/zenkai demo", ".venv/bin/pytest"), strict=True):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -e ") and command.endswith(f" && {last}")
        assert readme.count(f"<!-- {marker} -->\n```bash\n{command}\n```\n") == 1
        (tmp_path / "README.md").write_text(readme.replace(f"<!-- {marker} -->", ""))
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", cut], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode != 0 and marker in done.stderr


def test_our_scorers_can_all_be_made():
    from zenkai_research.core.registry import groups, resolve

    assert {"technical", "color"} <= set(groups())
    for scorer in resolve(["technical", "color"]).values():
        for output in scorer.outputs:
            assert output.help.endswith("."), f"{scorer.name}.{output.name} does not say what it measures"
            assert output.low < output.high and output.better in ("higher", "lower", "neither")


@pytest.mark.parametrize("command", [["-c", "import zenkai_research"], ["-m", "zenkai_research.cli.main", "--help"]], ids=["import", "help"])
def test_start_up_imports_nothing_heavy(command):
    "Start-up time is measured in experiments/; what makes it long is checked here."
    done = subprocess.run([sys.executable, "-X", "importtime", *command], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert not imported & {"torch", "lightning", "captum", "panel", "bokeh", "pandas", "scipy", "sklearn", "skimage", "cv2", "matplotlib", "sqlalchemy"}


def test_documents_list_every_scorer():
    from zenkai_research.core.registry import groups

    assert (PROJECT / "docs" / "scorers.md").read_text() == run(script("zenkai"), "scorers", "--markdown"), "zenkai scorers --markdown > docs/scorers.md"
    readme = (PROJECT / "README.md").read_text()
    for group, names in groups().items():
        assert f"| `{group}` |" in readme, f"README does not say what {group} is"
        for name in names:
            assert f"`{name}`" in readme, f"README does not name {name}"
