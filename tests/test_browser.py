"""The widgets in JupyterLab in a headless browser; pictures go to BIONER_SCREENSHOTS."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest

from bioner_lib.home import home

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    """A page maker; skips where there is no browser, or no playwright to drive it."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"none of the browsers {BROWSERS} is installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a folder; yields (folder, address)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "BIONER_OUTPUTS": str(tmp_path / "outputs"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
        "PYTHONPATH": str(home()),
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--ServerApp.password=", f"--notebook-dir={tmp_path}"]
    log = (tmp_path / "lab.log").open("w")
    server = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=log)
    try:
        for _ in range(120):
            try:
                urlopen(f"http://127.0.0.1:{port}/api", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield tmp_path, f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def opened(browser, lab, source):
    """The page of a notebook with one cell, executed."""
    folder, address = lab
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "widget.ipynb")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(f"{address}/lab/tree/widget.ipynb?reset", wait_until="load")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.wait_for_selector("text=| Idle", timeout=60_000)  # before that a cell isn't executed
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    return page


def picture(page, name):
    if folder := os.environ.get("BIONER_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_the_explorer_searches_and_counts(browser, lab):
    source = """
from bioner_lib import load_corpus
from bioner_lib.look import explore
explore([load_corpus("sample")])
"""
    page = opened(browser, lab, source)
    page.wait_for_selector("text=336 sentences", timeout=60_000)
    page.get_by_placeholder("words to look for").fill("virus")
    page.wait_for_function("!document.body.innerText.includes('336 sentences')", timeout=30_000)
    found = re.search(r"([\d,]+) sentences", page.inner_text(".jp-OutputArea"))
    assert 0 < int(found[1]) < 336
    picture(page, "explorer")


def test_silver_labels_are_verified_with_keys(browser, lab):
    source = """
from bioner_lib import load_corpus
from bioner_lib.look import verify
verify(load_corpus("sample"), "gold", count=3)
"""
    page = opened(browser, lab, source)
    page.wait_for_selector("text=sentence 1 of 3", timeout=60_000)
    picture(page, "verification")
    page.get_by_placeholder("click here, then press a key").click()
    page.keyboard.press("s")
    page.wait_for_selector("text=sentence 2 of 3", timeout=30_000)
    assert (lab[0] / "gold" / "test.jsonl").read_text().count("\n") == 1


def test_a_text_is_tagged_and_filtered(browser, lab, tiny):
    source = f"""
from bioner_lib import load_corpus
from bioner_lib.look import TextView
from bioner_lib.models import plan_heads
from bioner_lib.training.building import build
from bioner_lib import RunConfig
config = RunConfig(corpora="sample", encoder={tiny!r}, max_length=128, overlap=16)
view = TextView(build(config, plan_heads("joint", [load_corpus("sample")])), ["OPA1 and TP53."])
view.threshold.value = 0
view.widget
"""
    page = opened(browser, lab, source)
    page.wait_for_selector("text=score from", timeout=60_000)
    page.get_by_placeholder("one text per line").fill("Mutations in BRCA1 cause cancer.")
    page.get_by_role("button", name="tag", exact=True).click()
    page.wait_for_function(
        "document.querySelector('.jp-OutputArea').innerText.includes('BRCA1')", timeout=30_000
    )
    picture(page, "text")
