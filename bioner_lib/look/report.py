"""Executed notebooks as pages that open anywhere: `make report`.

A page holds its pictures, formulas and tables; no request leaves it. Code is folded.
"""

import base64
import mimetypes
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from ..errors import WorkbookError
from ..home import home, outputs, replace_text
from ..sweeps.parameters import cells_of

_STYLE = """body{font:16px/1.6 sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222}
pre{background:#f6f6f6;padding:.6em;overflow:auto;font-size:.85em}img{max-width:100%}
table{border-collapse:collapse;font-size:.9em}td,th{padding:.2em .6em;border-bottom:1px solid #ddd}
details{margin:.4em 0;color:#555}summary{cursor:pointer;font-size:.85em}nav{font-size:.9em}"""
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL | re.IGNORECASE)


def write_report(folder: Path | None = None) -> Path:
    """One page per executed notebook, and an index with the board; returns the index.

    The notebooks are those of `outputs/notebooks`; where there are none, the committed ones.
    `folder` is `outputs/report` by default.

    Raises WorkbookError where nbconvert isn't installed.
    """
    executed = sorted(outputs().glob("notebooks/*.ipynb"))
    executed = [path for path in executed if Path(path.stem).suffix not in (".failed", ".running")]
    pages = executed or sorted((home() / "notebooks").glob("*.ipynb"))
    folder = outputs(write=True) / "report" if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for path in pages:
        notebook = {"cells": cells_of(path)}
        title, body = _title(notebook, path), _body(notebook)
        back = '<nav><a href="index.html">index</a></nav>'
        replace_text(folder / f"{path.stem}.html", _page(title, back + body))
        links.append(f'<li><a href="{escape(path.stem)}.html">{escape(title)}</a></li>')
    index = f"<h1>Report</h1><ul>{''.join(links)}</ul>{_board()}{_figures()}"
    replace_text(folder / "index.html", _page("Report", index))
    return folder / "index.html"


def _page(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def _title(notebook: Mapping, path: Path) -> str:
    """The first heading, and the name of the job where it says more than the heading does."""
    for cell in notebook["cells"]:
        if found := re.search(r"^# (.+)", "".join(cell["source"]), re.MULTILINE):
            suffix = path.stem.partition("-")[2]
            return f"{found[1]} ({suffix})" if suffix else found[1]
    return path.stem


def _body(notebook: Mapping) -> str:
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(_markdown(_with_attachments(source, cell.get("attachments", {}))))
        elif cell["cell_type"] == "code":
            folded = f"<details><summary>code</summary><pre>{escape(source)}</pre></details>"
            parts += [folded, *map(_output, cell.get("outputs", []))]
    return "".join(parts)


def _with_attachments(source: str, attachments: Mapping[str, Mapping[str, str]]) -> str:
    """A cell's Markdown with the pictures that were pasted into it."""
    for name, contents in attachments.items():
        for kind, content in contents.items():
            inside = f"data:{kind};base64,{''.join(content.split())}"
            source = source.replace(f"attachment:{name}", inside)
    return source


def _output(output: Mapping) -> str:
    """What a cell printed or showed: the picture, else HTML, else markdown, else text."""
    if output["output_type"] == "stream":
        return f"<pre>{escape(''.join(output['text']))}</pre>"
    if output["output_type"] == "error":
        return f"<pre>{escape(output['ename'])}: {escape(output['evalue'])}</pre>"
    data = {kind: "".join(content) for kind, content in output.get("data", {}).items()}
    if "image/png" in data:
        picture = data["image/png"].replace("\n", "")
        return f'<img alt="" src="data:image/png;base64,{picture}">'
    if "text/html" in data:
        return _SCRIPT.sub("", data["text/html"])
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    return f"<pre>{escape(data.get('text/plain', ''))}</pre>"


def _markdown(source: str) -> str:
    """Markdown as HTML: formulas as MathML, pictures inside, those of other hosts left out."""
    try:
        from latex2mathml.converter import convert
        from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    except ImportError:
        raise WorkbookError(
            "a report needs nbconvert and latex2mathml: pip install -c constraints.txt -e '.[lab]'"
        ) from None

    class Renderer(IPythonRenderer):
        def block_math(self, body: str) -> str:
            return convert(body, display="block")

        def inline_math(self, body: str) -> str:
            return convert(body)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            content = url
            if not url.startswith("data:"):
                content = picture_inside(home() / "notebooks" / url)
            return f'<img alt="{escape(text)}" src="{content}">' if content else ""

    renderer = Renderer(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


def picture_inside(path: Path) -> str:
    """A picture as a data URL; "" where there is no such file."""
    if not path.is_file():
        return ""
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _board() -> str:
    """The leaderboard of all finished runs, where there are some."""
    from ..board.leaderboard import board_table, markdown
    from ..runs.rows import read_rows

    rows = read_rows()
    return _markdown(f"## Leaderboard\n\n{markdown(board_table(rows))}") if rows else ""


def _figures() -> str:
    """The figures of 90, else those that are committed."""
    drawn = sorted((outputs() / "figures").glob("90_*.png"))
    paths: Sequence[Path] = drawn or sorted((home() / "figures").glob("*.png"))
    images = [f'<img alt="{escape(p.stem)}" src="{picture_inside(p)}">' for p in paths]
    return f"<h2>Figures</h2>{''.join(images)}" if images else ""
