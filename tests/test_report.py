"""The report's pages hold everything that they show."""

import json
import re

from bioner_lib.__main__ import MISTAKE, main
from bioner_lib.home import home
from bioner_lib.look.report import _body, _markdown, write_report


def requests(html):
    """Addresses that a browser fetches by itself."""
    sources = re.findall(r"<[^>]*\s(?:src|srcset|data)=[\"']?([^\"'\s>]+)", html)
    sources += re.findall(r"<link[^>]*href=[\"']?([^\"'\s>]+)", html)
    styles = "".join(re.findall(r"<style.*?</style>|style=\"[^\"]*\"", html, re.DOTALL))
    sources += re.findall(r"url\([^)]*\)|@import.*", styles)
    return [source for source in sources if not source.startswith("data:image/")]


def test_pages_of_the_committed_notebooks_need_nothing_else(tmp_path, outputs):
    index = write_report(tmp_path / "report")
    names = {path.stem for path in (home() / "notebooks").glob("*.ipynb")}
    pages = {path.stem: path.read_text() for path in index.parent.glob("*.html")}
    assert set(pages) == names | {"index"}
    for name, html in pages.items():
        assert requests(html) == [], name
        assert "<script" not in html
    assert "data:image/png" in pages["30_single_task"]
    assert "<math" in pages["30_single_task"]
    assert pages["30_single_task"].count("<details>") > 5
    assert all(f'href="{name}.html"' in pages["index"] for name in names)


def test_pasted_pictures_are_inside_the_page():
    url = "data:image/png;base64," + "A" * 5000
    assert url in _markdown(f"![]({url})")
    pasted = {"image.png": {"image/png": "QUJD"}}
    cell = {
        "cell_type": "markdown",
        "source": ["![x](attachment:image.png)"],
        "attachments": pasted,
    }
    assert 'src="data:image/png;base64,QUJD"' in _body({"cells": [cell]})


def test_executed_notebooks_come_before_the_committed_ones(outputs, capsys):
    cells = [
        {"cell_type": "markdown", "source": ["# 30 · Title\n", "$x<1$"]},
        {
            "cell_type": "code",
            "source": ["print('<b>')"],
            "outputs": [
                {"output_type": "stream", "text": ["<b>\n"]},
                {
                    "output_type": "display_data",
                    "data": {"text/html": ["<i>x</i><script>evil()</script>"]},
                },
                {"output_type": "error", "ename": "E", "evalue": "<v>"},
            ],
        },
    ]
    (outputs / "notebooks").mkdir(parents=True)
    for name in ("30_single_task-s13", "30_single_task-s42.failed"):
        (outputs / "notebooks" / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    assert main(["report"]) == 0
    assert "report/index.html" in capsys.readouterr().out
    page = (outputs / "report" / "30_single_task-s13.html").read_text()
    assert "<title>30 · Title (s13)</title>" in page
    assert "<pre>&lt;b&gt;\n</pre>" in page
    assert "<i>x</i>" in page and "evil" not in page
    assert "E: &lt;v&gt;" in page
    assert len(list((outputs / "report").glob("*.html"))) == 2


def test_a_damaged_notebook_is_named(outputs, capsys):
    (outputs / "notebooks").mkdir(parents=True)
    for content in ("", '{"cells": [{}]}'):
        (outputs / "notebooks" / "30_x.ipynb").write_text(content)
        assert main(["report"]) == MISTAKE
        assert "30_x.ipynb is no notebook" in capsys.readouterr().err
