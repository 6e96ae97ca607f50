"""`python deploy/compiled.py FOLDER`: oncue's packages in FOLDER, the hot part of the core as machine code.

The core is typed throughout, so mypyc (https://mypyc.readthedocs.io) can compile it as it is. The whole job
then takes a sixth to a quarter less processor time, see docs/figures.md. Python prefers what is compiled to
the source beside it, which stays there for tracebacks. By `PYTHONPATH` a folder takes the place of the
installed packages.

Needs a C compiler and what `pip install oncue[compile]` installs. Without a compiler the folder has the
packages as they are.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "operators", "schemas", "state")
# What every event goes through. No module with a Struct in it: of an annotation mypyc keeps the outermost
# type only, and of a class no keywords, so msgspec would write and read another format.
_CORE = """
    aggregates checks counts customerfold customers dedupe distinct effects enrichment events expressions
    facts features headers identifiers identity intents journal measures money nesting order panes paths
    patterns profiles questions readings rebuild records resolve rules scores served timers told triggers
    churn/btyd churn/customer churn/keeper churn/pending churn/reasons churn/scoring churn/statistics
    churn/values churn/vector
    intent/vector intent/visitor intent/visits
""".split()
COMPILED = ["state/cache.py", "flows/hot.py", *(f"operators/{name}.py" for name in _CORE)]

_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
extensions = mypycify([*options, *{modules!r}], opt_level="1", debug_level="0")
for extension in extensions:
    # Of code that nobody wrote. Half of the time went into -Wmisleading-indentation and the like.
    extension.extra_compile_args = [*extension.extra_compile_args, "-Wno-all"]
setup(name="oncue-compiled", packages=[], ext_modules=extensions)
"""


def copy(folder: Path) -> None:
    """The packages in `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))


def compile_in(folder: Path) -> None:
    """Raises CalledProcessError when mypyc or the compiler fail; what they say has been printed."""
    script = folder / "setup.py"
    script.write_text(_SETUP.format(modules=COMPILED))
    subprocess.run([sys.executable, script.name, "--quiet", "build_ext", "--inplace"], cwd=folder, check=True)
    script.unlink()
    for left in (folder / "build", folder / ".mypy_cache"):
        shutil.rmtree(left, ignore_errors=True)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[1]).resolve()
    copy(folder)
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is not None:
        compile_in(folder)
    else:
        print(f"not compiled: no C compiler ({compiler}) is here; all works without, slower", file=sys.stderr)
    # Who runs it may not be able to keep the bytecode, and would make it at every start: .1 s of .7.
    compileall.compile_dir(folder, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return 0


if __name__ == "__main__":
    sys.exit(main())
