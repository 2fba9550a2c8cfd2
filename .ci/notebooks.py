"""Execute the notebooks on the embedded sample and write their outputs into them: `make notebooks`.

    python .ci/notebooks.py                            # all, in numeric order
    python .ci/notebooks.py 55 75 --outputs /tmp/kept  # only these; the folder is kept

Without --outputs there is a fresh temporary folder. The notebooks share it: a run that 30 made is
only read in 40. Each notebook's metadata keep, for tests/test_notebooks.py, a hash of the code
that its outputs come from, and the training pieces of the runs that it uses.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from bioner_lib.training.progress import VARIABLE  # noqa: E402

LARGEST = 400 * 1024
A_PATH = re.compile(r"(?<![\w.:/])/(home|root|work|tmp|Users|opt|mnt)/")
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(notebook: Path, outputs: Path) -> dict:
    """The executed notebook's content, cleaned; raises what its cells raise."""
    import papermill

    told, aside, started = outputs / "told.json", outputs / "executing.ipynb", time.time()
    told.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(told)
    options = {"kernel_name": "python3", "progress_bar": False, "log_output": False}
    papermill.execute_notebook(str(notebook), str(aside), cwd=str(notebook.parent), **options)
    executed = json.loads(aside.read_text(encoding="utf-8"))
    content = json.loads(notebook.read_text(encoding="utf-8"))
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    own = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for count, (cell, made) in enumerate(zip(own, code, strict=True), 1):
        cell["execution_count"] = count
        cell["outputs"] = [
            cleaned(output, outputs, count) for output in made["outputs"] if kept(output)
        ]
    content["metadata"]["bioner"] = {
        "code": hash_of_code(content),
        "training_pieces": training_pieces(told, outputs, started),
    }
    return content


def hash_of_code(content: dict) -> str:
    """16 hex digits; Markdown may be reworded without another execution."""
    code = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def kept(output: dict) -> bool:
    """Warnings and progress bars go to stderr; a widget needs a kernel."""
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


def cleaned(output: dict, outputs: Path, count: int) -> dict:
    """The output without metadata and machine paths, its picture with fewer colours."""
    text = json.dumps({key: value for key, value in output.items() if key != "execution_count"})
    for folder, name in ((outputs, "outputs"), (HOME, "bioner-workbook")):
        text = text.replace(str(folder), name)
    output = json.loads(text)
    if "metadata" in output:
        output["metadata"] = {}
    if output["output_type"] == "execute_result":
        output["execution_count"] = count
    if picture := output.get("data", {}).get("image/png"):
        output["data"]["image/png"] = smaller(picture)
    return output


def smaller(picture: str) -> str:
    """A PNG in base64 with at most 48 colours."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    file = io.BytesIO()
    covering = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
    image.quantize(48, **covering).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def training_pieces(told: Path, outputs: Path, started: float) -> dict[str, int]:
    """The pieces that each run of a notebook was trained on, and those of its search's trials."""
    said = json.loads(told.read_text()) if told.exists() else {}
    pieces, epoch = {}, 0
    for run_id in said.get("runs", []):
        row = json.loads((outputs / "runs" / run_id / "run.json").read_text())
        epoch = max([epoch, *(record["pieces"] for record in row["history"])])
        if row["history"]:
            pieces[run_id] = sum(record["pieces"] for record in row["history"])
    for journal in (outputs / "searches").glob("*.journal"):
        if journal.stat().st_mtime > started:
            pieces[journal.stem] = epoch * trained_epochs(journal)
    return pieces


def trained_epochs(journal: Path) -> int:
    """The epochs that all trials of a search took."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name=journal.stem, storage=storage)
    return sum(len(trial.intermediate_values) for trial in study.trials)


def check(content: dict, name: str) -> str:
    """The notebook's text; raises SystemExit for what must not be committed."""
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise SystemExit(f"{name}: {output['ename']}: {output['evalue']}")
            if found := A_PATH.search(json.dumps(output)):
                raise SystemExit(f"{name}: an output names a path of this machine: {found[0]}")
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    if len(text.encode()) > LARGEST:
        raise SystemExit(f"{name}: {len(text.encode()) / 1024:.0f} KB; at most 400")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Execute notebooks and write their outputs.")
    parser.add_argument("names", nargs="*", help="their numbers or names; none: all of them")
    parser.add_argument("--outputs", help="a folder that is kept; default: a fresh temporary one")
    asked = parser.parse_args()
    notebooks = [
        path
        for path in sorted((HOME / "notebooks").glob("*.ipynb"))
        if not asked.names or any(path.stem.startswith(name) for name in asked.names)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        outputs = Path(asked.outputs or temporary).resolve()
        outputs.mkdir(parents=True, exist_ok=True)
        os.environ |= {"BIONER_OUTPUTS": str(outputs), "BIONER_HOME": str(HOME)}
        os.environ["PYTHONPATH"] = str(HOME)  # kernels import this checkout
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # another number rounds differently
        for path in notebooks:
            content = execute(path, outputs)
            path.write_text(check(content, path.stem), encoding="utf-8")
            pieces = sum(content["metadata"]["bioner"]["training_pieces"].values())
            size = path.stat().st_size / 1024
            print(f"{path.stem}: {pieces:,} training pieces, {size:.0f} KB", flush=True)


if __name__ == "__main__":
    main()
