"""Builds the wheel and looks at what is in it: `python tests/wheel.py`. It needs the package index for the build
backend, so it is none of the unit tests."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

KIT = Path(__file__).resolve().parent.parent
CONTRACT = {f"millstream/wit/{file.name}" for file in (KIT / "../../wit").glob("*.wit")}
CODE = {str(file.relative_to(KIT / "src")) for end in ("py", "so") for file in (KIT / "src").rglob(f"*.{end}")}


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, str(KIT)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            names = set(files.namelist())
            licences = [name for name in names if name.endswith(".dist-info/licenses/LICENSE") and files.read(name)]
    missing = sorted((CONTRACT | CODE | {"millstream/py.typed"}) - names)
    if missing or not CONTRACT or not licences:
        sys.exit(f"{wheel.name} lacks {', '.join(missing) or 'the licence or the contract'}")
    print(f"{wheel.name} has all of its {len(names)} files")


if __name__ == "__main__":
    main()
