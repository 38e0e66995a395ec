"""Makes the component: `millstream-python plugin.py -o plugin.wasm`, or `python -m millstream.build`."""

from __future__ import annotations

import argparse
import importlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from .registry import PLUGIN

# What its own script does, with the Python that runs this.
_COMPONENTIZE = "import componentize_py, sys; sys.argv[0] = 'componentize-py'; sys.exit(componentize_py.script())"

# The contract; in a checkout a link to the one at its root.
_WIT = Path(__file__).parent / "wit"

_APP = """\
import gc
import {module}
from millstream.exports.common import Catalog
{classes}
# What was imported stays: no collection needs to look at it again.
gc.collect()
gc.freeze()
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="millstream-python", description="Makes a plugin of a Python file.")
    parser.add_argument("module", type=Path, help="the plugin's Python file")
    parser.add_argument("-o", "--output", type=Path, help="the component; the file's name with .wasm if not given")
    given = parser.parse_args()
    try:
        build(given.module, given.output or given.module.with_suffix(".wasm"))
    except BuildError as error:
        sys.exit(f"error: {error}")


class BuildError(Exception):
    """Why there is no component."""


def build(module: Path, output: Path) -> None:
    """Compiles the plugin of a Python file, which is imported once here and once in the component."""
    if not module.is_file():
        raise BuildError(f"there is no file {module}")
    folder = module.resolve().parent
    sys.path.insert(0, str(folder))
    importlib.import_module(module.stem)
    if not PLUGIN.operators or not PLUGIN.name:
        raise BuildError(f"{module} has no plugin: call millstream.describe and register an operator")
    with tempfile.TemporaryDirectory() as work:
        kinds = PLUGIN.kinds()
        classes = "".join(f"from millstream.exports.{kind} import {kind.capitalize()}\n" for kind in kinds)
        (Path(work) / "millstream_app.py").write_text(_APP.format(module=module.stem, classes=classes))
        wit = Path(shutil.copytree(_WIT, Path(work) / "wit"))
        # One world of the kinds that are there: several worlds at once break componentize-py.
        includes = " ".join(f"include {kind}-plugin;" for kind in kinds)
        (wit / "app.wit").write_text(f"package millstream:plugin@0.1.0;\nworld app {{ {includes} }}\n")
        made = Path(work) / "plugin.wasm"
        paths = [part for path in (work, folder, Path(__file__).parent.parent) for part in ("-p", str(path))]
        _run(["-q", "-d", str(wit), "-w", "app", "componentize", *paths, "millstream_app", "-o", str(made)])
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, output)


def _run(arguments: list[str]) -> None:
    command = [sys.executable, "-c", _COMPONENTIZE, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"componentize-py cannot be run: {error}") from error
    if "No module named 'componentize_py'" in done.stderr:
        raise BuildError(f"componentize-py is missing: {_installs()}")
    if done.returncode != 0:
        raise BuildError(f"componentize-py says:\n{done.stderr.split('Stack backtrace:')[0].strip()}")


def _installs() -> str:
    """The command that installs it for the Python that runs this, in the version that goes with this kit."""
    try:
        needed = metadata.requires("millstream-plugin") or []
    except metadata.PackageNotFoundError:
        needed = []  # The kit is not installed, but on the path.
    found = [one.split(";")[0].strip() for one in needed if one.startswith("componentize-py")]
    return shlex.join([sys.executable, "-m", "pip", "install", *(found or ["componentize-py"])])


if __name__ == "__main__":
    main()
