"""Install the workbook in an environment of other versions, and run it there.

`colab` (make test-colab) installs the versions of colab.txt, runs the notebooks' set-up cell on top
and executes two notebooks. `oldest` (make test-oldest) installs the lower bounds of pyproject.toml
and runs the quick tests. Both use this Python and a virtual environment in a temporary folder.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# runs a cell as Colab does: google.colab has been imported, and ! starts a shell command
AS_COLAB = """import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
"""


def call(*command, folder=ROOT, **variables):
    """Run a command; exit with its status if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=folder, env=os.environ | variables)
    if done.returncode:
        sys.exit(f"failed with {done.returncode}: {' '.join(map(str, command))}")


def new_environment(folder):
    """A virtual environment of this Python; returns the folder of its commands."""
    call(sys.executable, "-m", "venv", folder / "venv")
    return folder / "venv" / "bin"


def installed(commands):
    """Version by name, of every package in the environment."""
    query = [commands / "python", "-m", "pip", "list", "--format=json"]
    answer = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    return {package["name"].lower(): package["version"] for package in json.loads(answer)}


def colab_versions(torch):
    """The pins of colab.txt without local parts (+cu128); `torch` replaces torch's version."""
    lines = (ROOT / "tests" / "colab.txt").read_text().splitlines()
    pins = [line.split("+")[0] for line in lines if line and not line.startswith("#")]
    if torch:
        pins = [f"torch=={torch}" if pin.startswith("torch==") else pin for pin in pins]
    return pins


def setup_cell():
    """The source of the notebooks' set-up cell; test_notebooks checks that all share it."""
    (path,) = (ROOT / "notebooks").glob("30_*.ipynb")
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][1]["source"])


def lowest_versions(torch):
    """Every lower bound of the dependencies and of the extra lab, as a pin."""
    pins = []
    for line in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"]:
        name, version = re.match(r"([\w.-]+)>=([\w.]+)", line).groups()
        pins.append(f"{name}=={torch if torch and name == 'torch' else version}")
    return pins


def colab(folder, torch):
    """The set-up cell changes no version that Colab has, and the notebooks run on these."""
    commands = new_environment(folder)
    pins = folder / "colab.txt"
    pins.write_text("\n".join(colab_versions(torch)) + "\n")
    call(commands / "python", "-m", "pip", "install", "--quiet", "-r", pins)
    before = installed(commands)

    content = folder / "content"
    content.mkdir()
    (content / "cell.ipy").write_text(AS_COLAB + setup_cell() + "\nimport bioner_lib\n")
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    # the cell's git clone takes the last commit of this checkout
    clone_from_here = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": PROJECT["urls"]["Repository"],
    }
    call(commands / "ipython", "cell.ipy", folder=content, PATH=path, **clone_from_here)

    after = installed(commands)
    changed = {name for name in before if after.get(name) != before[name]}
    if changed:
        pairs = [f"{name} {before[name]} became {after.get(name)}" for name in sorted(changed)]
        sys.exit("the set-up cell changed what Colab has: " + ", ".join(pairs))
    added = sorted(after.keys() - before.keys())
    print(f"{len(before)} packages unchanged, {len(added)} added:", *added, flush=True)

    notebooks = content / PROJECT["name"] / "notebooks"
    for notebook in sorted(notebooks.glob("[03]0_*.ipynb")):
        print(f"executing {notebook.name}", flush=True)
        call(
            *(commands / "python", "-m", "papermill", "--no-progress-bar", notebook),
            folder / notebook.name,
            folder=notebooks,
            PATH=path,
            BIONER_OUTPUTS=str(folder / "outputs"),
        )
    core = ("torch", "numpy", "pandas", "matplotlib", "transformers", "datasets", "ipykernel")
    print("executed with", ", ".join(f"{name} {after[name]}" for name in core))


def oldest(folder, torch):
    """The quick tests pass with the lower bounds."""
    commands = new_environment(folder)
    pins = folder / "oldest.txt"
    pins.write_text("\n".join(lowest_versions(torch)) + "\n")
    print("lower bounds:", " ".join(pins.read_text().split()), flush=True)
    call(commands / "python", "-m", "pip", "install", "--quiet", "-c", pins, "-e", f"{ROOT}[dev]")
    # old packages beside new ones warn of deprecations; the tested default has no such warning
    warnings = ["-W", "default::DeprecationWarning"]
    call(commands / "python", "-m", "pytest", "-q", "-m", "not real and not slow", *warnings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=["colab", "oldest"])
    parser.add_argument("--torch", default="", help="take this version of torch instead")
    asked = parser.parse_args()
    if asked.torch:
        print(f"torch is {asked.torch} here, not the listed version", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        check = {"colab": colab, "oldest": oldest}[asked.which]
        check(Path(temporary), asked.torch)
