"""The command line: its answers, its exit codes, its folders."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from small_runs import small

from bioner_lib import RunConfig, WorkbookError, run
from bioner_lib.__main__ import COMMANDS, MISTAKE, STOPPED, main
from bioner_lib.home import folder_named_by, home
from bioner_lib.home import outputs as outputs_folder


def test_relative_folders_are_relative_to_the_workbook(tmp_path, monkeypatch):
    """A relative name means one folder, whether in the root or in notebooks/; ~ is expanded."""
    monkeypatch.setenv("BIONER_OUTPUTS", "my-runs")
    monkeypatch.setenv("BIONER_MIRROR", "~/mirror")
    places = []
    for folder in (tmp_path, home() / "notebooks"):
        monkeypatch.chdir(folder)
        places.append(outputs_folder())
    assert places == [home() / "my-runs"] * 2
    assert not places[0].exists(), "asking makes no folder"
    assert folder_named_by("BIONER_MIRROR") == Path("~/mirror").expanduser()
    monkeypatch.setenv("BIONER_OUTPUTS", "~/runs")
    assert outputs_folder() == Path("~/runs").expanduser()
    monkeypatch.setenv("BIONER_HOME", "~")
    assert home() == Path("~").expanduser().resolve()


@pytest.mark.parametrize("command", [["board"], ["status"], ["status", "quick"]])
def test_a_misspelt_folder_is_refused_and_not_made(tmp_path, capsys, command):
    assert main([*command, "--outputs", str(tmp_path / "otputs")]) == MISTAKE
    assert "otputs: no such folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command, capsys):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m bioner_lib {command}")


def test_a_dry_run_makes_nothing(tmp_path, capsys):
    assert main(["sweep", "quick", "--dry-run", "--outputs", str(tmp_path / "new")]) == 0
    assert "todo" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_board_of_a_read_only_folder_is_printed(outputs, capsys, monkeypatch):
    run(RunConfig(corpora="sample", system="dictionary"), progress=False)

    def refused(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_text", refused)
    monkeypatch.setattr(Path, "mkdir", refused)
    assert main(["board"]) == 0
    answer = capsys.readouterr()
    assert "| dictionary | 1 |" in answer.out
    assert "Read-only file system" in answer.err
    assert main(["status"]) == 0


def test_a_full_disk_and_a_closed_pipe_give_no_traceback(outputs, capsys, monkeypatch):
    run(RunConfig(corpora="sample", system="dictionary"), progress=False)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bioner_lib.board.leaderboard.replace_text", full)
        assert main(["board"]) == MISTAKE
    assert "No space left on device; make room" in capsys.readouterr().err
    environment = os.environ | {"BIONER_OUTPUTS": str(outputs)}
    call = f"{sys.executable} -m bioner_lib board | head -0"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {call}"],
        env=environment,
        cwd=home(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_command_line(outputs, capsys, monkeypatch):
    assert main(["board"]) == MISTAKE
    assert "no such folder" in capsys.readouterr().err
    outputs.mkdir()
    assert main(["board"]) == MISTAKE
    assert "no finished runs" in capsys.readouterr().err
    assert main(["sweep", "quik"]) == MISTAKE
    assert "did you mean 'quick'" in capsys.readouterr().err
    run(RunConfig(corpora="sample", system="dictionary"), progress=False)
    assert main(["board"]) == 0
    printed = capsys.readouterr().out
    assert "| dictionary | 1 |" in printed
    assert "95 % interval" not in printed
    assert main(["board", "--intervals"]) == 0
    assert "95 % interval" in capsys.readouterr().out
    assert json.loads((outputs / "leaderboard.json").read_text())["runs"]
    assert main(["fetch", "sample"]) == 0
    assert "train 336 sentences" in capsys.readouterr().out
    monkeypatch.setenv("BIONER_MIRROR", str(Path(outputs).parent))
    assert main(["fetch", "bc4chemdd"]) == MISTAKE
    assert "did you mean 'bc4chemd'" in capsys.readouterr().err


def test_evaluate_prints_and_keeps_its_scores(tiny, outputs, capsys, monkeypatch):
    config = small(tiny, ["sample-gene", "sample-disease"])
    row = run(config, progress=False)
    assert main(["evaluate", config.run_id, "sample", "--split", "dev", "--limit", "40"]) == 0
    answer = capsys.readouterr().out
    assert "Virus        not asked: no head" in answer
    folder = outputs / "runs" / config.run_id / "evaluations"
    kept = json.loads((folder / "sample.dev.limit-40.json").read_text())
    assert kept["not_asked"] == ["Chemical", "Virus"]
    assert f"{kept['types']['micro']['f1']:.4f}" in answer
    assert len((folder / "sample.dev.limit-40.jsonl").read_text().splitlines()) == 40
    assert main(["evaluate", config.run_id, "sample", "--int8", "--limit", "9"]) == 0
    assert (folder / "sample.test.limit-9.int8.json").exists()
    assert json.loads((folder.parent / "run.json").read_text()) == row
    shutil.rmtree(folder)
    folder.write_text("no folder")  # as a full or read-only disk, for root too
    monkeypatch.setattr("bioner_lib.runs.scored.autocast_dtype", None)  # said before the tagging
    assert main(["evaluate", config.run_id, "sample", "--limit", "9"]) == MISTAKE
    assert "can't write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["no-such-run", "sample"], "no-such-run"),
        (["no-such-run", "sample", "--split", "tset"], "no-such-run"),
    ],
)
def test_evaluate_names_what_is_wrong(outputs, capsys, call, message):
    outputs.mkdir()
    assert main(["evaluate", *call]) == MISTAKE
    assert message in capsys.readouterr().err


def log_of(outputs, config) -> list[str]:
    return (outputs / "logs" / f"{config.run_id}.log").read_text().splitlines()


def arguments_of(config) -> list[str]:
    return [f"{name}={json.dumps(value)}" for name, value in config.as_dict().items()]


def test_a_run_leaves_a_log_that_the_next_call_continues(tiny, outputs, capsys):
    config = small(tiny, epochs=2)
    call = ["run", *arguments_of(config), "--outputs", str(outputs)]
    assert main(call) == 0
    answer = capsys.readouterr()
    first, *lines = log_of(outputs, config)
    assert re.match(
        r"# \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d  python -m bioner_lib run ", first
    )
    assert first.endswith(f"  bioner-workbook {version('bioner-workbook')}")
    assert f"seed={config.seed}" in first
    assert [line.split("  ")[0] for line in lines[:2]] == ["epoch 1/2", "epoch 2/2"]
    assert lines[-1] == f"row: runs/{config.run_id}/run.json"
    assert set(answer.out.splitlines()) <= set(lines)
    assert "it/s" in answer.err, "a bar was drawn"
    assert not [line for line in lines if "it/s" in line or "\r" in line or not line]
    assert main(call) == 0
    again = log_of(outputs, config)[1 + len(lines) :]
    assert again[0].startswith("# ")
    assert again[1:] == [lines[-1]], "a finished run is only read"


def test_a_log_holds_warnings_and_the_error(outputs, capsys, monkeypatch):
    config = RunConfig(corpora="sample", system="dictionary")

    def fails(*_, **__):
        print("\r 10%", end="", file=sys.stderr)
        print(file=sys.stderr)
        print("a warning", file=sys.stderr)
        raise failure

    monkeypatch.setattr("bioner_lib.runs.run.run", fails)
    failure = WorkbookError("no such thing; take another")
    assert main(["run", *arguments_of(config)]) == MISTAKE
    assert capsys.readouterr().err.endswith("a warning\nerror: no such thing; take another\n")
    assert log_of(outputs, config)[-1] == "error: no such thing; take another"
    assert log_of(outputs, config)[1:-1] == ["a warning"]
    failure = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        main(["run", *arguments_of(config)])
    assert log_of(outputs, config)[-1] == "RuntimeError: a bug"
    failure = KeyboardInterrupt()
    assert main(["run", *arguments_of(config)]) == STOPPED
    assert log_of(outputs, config)[-1] == "stopped"


def test_a_log_that_cant_be_written_stops_no_run(outputs, capsys, monkeypatch):
    config = RunConfig(corpora="sample", system="dictionary")
    outputs.mkdir()
    (outputs / "logs").write_text("a file where the folder would be")
    assert main(["run", *arguments_of(config)]) == 0
    answer = capsys.readouterr()
    assert re.search(r"warning: no log: can't write .*\.log \(.*\); the run goes on", answer.err)
    assert "row: runs/" in answer.out
    (outputs / "logs").unlink()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bioner_lib.runs.logs._Log._append", full)
    assert main(["run", *arguments_of(config)]) == 0
    answer = capsys.readouterr()
    assert answer.err.count("No space left on device") == 1
    assert "row: runs/" in answer.out


def test_only_the_first_process_logs(outputs, capsys, monkeypatch):
    monkeypatch.setattr("bioner_lib.runs.run.run", lambda *_, **__: print("a share"))
    monkeypatch.setattr("bioner_lib.training.processes.leave", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert main(["run", "corpora=sample"]) == 0
    assert capsys.readouterr().out == "a share\n"
    assert not outputs.exists()
