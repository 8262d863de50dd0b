"""Run an experiment's notebook and write its report from the results: `python experiments/publish.py NAME [--text]`."""

import argparse
import json
import sys
from pathlib import Path
from string import Formatter

HERE = Path(__file__).resolve().parent


def run(folder: Path):
    "Execute the notebook in its folder; it reads config.toml and writes results.json."
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(folder / "experiment.ipynb", as_version=4)
    NotebookClient(book, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()


class Results(Formatter):
    "`{key}` and `{key.below:.2f}` are looked up in the results; a key that is not there is an error."

    def get_field(self, name, args, results):
        value = results
        for part in name.split("."):
            value = value[part]
        return value, name


def report(folder: Path):
    "Fill the template with the results."
    results = json.loads((folder / "results.json").read_text())
    text = Results().vformat((folder / "report.template.md").read_text(), (), results)
    (folder / "report.md").write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a folder of experiments/")
    parser.add_argument("--text", action="store_true", help="write only the report, from the results there are")
    options = parser.parse_args()
    folder = HERE / options.name
    if not (folder / "experiment.ipynb").exists():
        sys.exit(f"{options.name}: no such experiment; there are: {', '.join(sorted(p.parent.name for p in HERE.glob('*/experiment.ipynb')))}")
    if not options.text:
        run(folder)
    report(folder)
