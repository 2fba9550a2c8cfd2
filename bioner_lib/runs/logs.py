"""The log of a run: what its command prints, appended to outputs/logs/<run id>.log."""

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import (
    ExitStack,
    closing,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from shlex import join
from typing import IO

from ..errors import WorkbookError
from ..home import outputs
from ..training import processes

# how a drawing of a progress bar starts: from the line's beginning, or from another bar's line
_REDRAWS = ("\r", "\x1b[A")


@contextmanager
def logged(run_id: str, call: Sequence[str]) -> Iterator[None]:
    """Append to the run's log what the block prints on stdout and stderr, and how it fails.

    `call` holds the command's arguments; the log's first line names them. Redrawn progress bars
    are left out. Of several processes the first one logs. A log that can't be written is a warning
    on stderr, and the block goes on.
    """
    if processes.rank() > 0:
        yield
        return
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    command = join(["python", "-m", "bioner_lib", *call])
    with ExitStack() as stack:
        log = stack.enter_context(closing(_Log(outputs() / "logs" / f"{run_id}.log")))
        log.write(f"# {now}  {command}  bioner-workbook {version('bioner-workbook')}\n")
        stack.enter_context(redirect_stdout(_Copied(sys.stdout, log)))
        stack.enter_context(redirect_stderr(_Copied(sys.stderr, log)))
        try:
            yield
        # whoever called prints these when the log is closed
        except WorkbookError as error:
            log.write(f"error: {error}\n")
            raise
        except KeyboardInterrupt:
            log.write("stopped\n")
            raise
        except BaseException:
            log.write(traceback.format_exc())
            raise


class _Log:
    """A text file that grows; one that can't be written is told once on stderr, then ignored."""

    def __init__(self, path: Path):
        self.path, self.warnings = path, sys.stderr
        self.file: IO | None = None
        self.is_over = False

    def write(self, text: str) -> None:
        if self.is_over:
            return
        try:
            self._append(text)
        except OSError as error:
            self.close()
            reason = error.strerror or error
            print(
                f"warning: no log: can't write {self.path} ({reason}); the run goes on",
                file=self.warnings,
            )

    def _append(self, text: str) -> None:
        if self.file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # one line at a time, so that the log of a killed run ends with its last line
            self.file = self.path.open("a", encoding="utf-8", errors="replace", buffering=1)
        self.file.write(text)

    def close(self) -> None:
        self.is_over = True
        if self.file is not None:
            with suppress(OSError):  # the disk is full
                self.file.close()


class _Copied:
    """A stream whose text also goes to a log, but for redrawn progress bars."""

    def __init__(self, stream: IO, log: _Log):
        self.stream, self.log = stream, log
        self.in_bar = False

    def write(self, text: str) -> int:
        is_drawing = text.startswith(_REDRAWS)
        ends_bar = self.in_bar and text == "\n"
        if text and not is_drawing and not ends_bar:
            self.log.write(text)
        if text:
            self.in_bar = is_drawing
        return self.stream.write(text)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)
