"""Fetching registered corpora from a mirror, data/raw or the network; every byte is verified."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from small_corpora import load_from, small_registry

from bioner_lib import load_corpus
from bioner_lib.errors import DataError


class Server(ThreadingHTTPServer):
    """Answers every request with `content` and keeps the paths in `asked`."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.asked = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local server in place of GitHub, and a home without files."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setattr(
            "bioner_lib.corpora.registry.GITHUB",
            f"http://127.0.0.1:{running.server_port}/{{repository}}/{{commit}}/{{path}}",
        )
        monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "home")
        monkeypatch.delenv("BIONER_MIRROR", raising=False)
        yield running
        running.shutdown()


def test_mirror_is_verified_and_counted(tmp_path, monkeypatch):
    small_registry(tmp_path, monkeypatch)
    assert load_from(tmp_path, "toy").counts("train") == {"Gene": 1}
    monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
    assert load_corpus("toy").types == ("Gene",)


def test_git_blob_ids_verify_too(tmp_path, monkeypatch):
    text = b"TP53\tB-GENE\nx\tO\n"
    blob = hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()
    small_registry(tmp_path, monkeypatch, files={"train": {"path": "train.tsv", "git_blob": blob}})
    assert len(load_from(tmp_path, "toy").train) == 1


def test_wrong_hash_counts_and_labels_are_errors(tmp_path, monkeypatch):
    entry = small_registry(tmp_path, monkeypatch)
    entry["counts"]["train"]["Gene"] = 7
    with pytest.raises(DataError, match=r"toy train .*Gene 1 instead of 7"):
        load_from(tmp_path, "toy")
    (tmp_path / "toy" / "train.tsv").write_text("changed\tO\n")
    with pytest.raises(DataError, match=r"train.tsv has sha256 .* delete it and fetch it again"):
        load_from(tmp_path, "toy")


def test_unreachable_download_says_where_to_put_the_file(tmp_path, monkeypatch):
    small_registry(tmp_path, monkeypatch)
    monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "elsewhere")

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("pooch.retrieve", unreachable)
    monkeypatch.delenv("BIONER_MIRROR", raising=False)
    with pytest.raises(
        DataError, match=r"can't fetch https://raw.*BIONER_MIRROR .* as toy/train.tsv"
    ):
        load_corpus("toy")


def test_download_goes_through_pooch_and_is_verified(tmp_path, monkeypatch, server):
    """From a local server, the file is fetched once, verified, and then read from disk."""
    small_registry(tmp_path, monkeypatch)
    server.content = (tmp_path / "toy" / "train.tsv").read_bytes()
    for _ in range(2):
        assert len(load_corpus("toy").train) == 1
    assert server.asked == ["/a/b/c/data/train.tsv"]


@pytest.mark.parametrize("kind", ["sha256", "git_blob"])
def test_every_byte_is_verified_wherever_it_comes_from(tmp_path, monkeypatch, kind):
    """One wrong byte in a mirror, in data/raw or in a download is an error at every reading."""
    text = b"TP53\tB-GENE\nx\tO\n"
    digest = (
        hashlib.sha256(text) if kind == "sha256" else hashlib.sha1(b"blob %d\0" % len(text) + text)
    )
    small_registry(
        tmp_path, monkeypatch, files={"train": {"path": "train.tsv", kind: digest.hexdigest()}}
    )
    raw = tmp_path / "home" / "data" / "raw" / "toy" / "train.tsv"
    raw.parent.mkdir(parents=True)
    monkeypatch.setattr("bioner_lib.corpora.fetching.home", lambda: tmp_path / "home")
    monkeypatch.delenv("BIONER_MIRROR", raising=False)
    raw.write_bytes(text)
    assert load_corpus("toy").counts("train") == {"Gene": 1}
    for place in (raw, tmp_path / "toy" / "train.tsv"):
        if place != raw:
            monkeypatch.setenv("BIONER_MIRROR", str(tmp_path))
        place.write_bytes(text.replace(b"TP53", b"TP54"))
        with pytest.raises(
            DataError, match=rf"train\.tsv has {kind} .* delete it and fetch it again"
        ):
            load_corpus("toy")
    monkeypatch.delenv("BIONER_MIRROR")
    raw.unlink()
    served = tmp_path / "served"
    served.mkdir()
    (served / "train.tsv").write_bytes(text.replace(b"TP53", b"TP54"))
    monkeypatch.setattr("bioner_lib.corpora.registry.GITHUB", f"file://{served}/{{path}}")

    def retrieve(address, known_hash, fname, path, progressbar):
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes((served / "train.tsv").read_bytes())

    monkeypatch.setattr("pooch.retrieve", retrieve)
    with pytest.raises(DataError, match=rf"has {kind}"):
        load_corpus("toy")


def test_pooch_is_told_the_hash(tmp_path, monkeypatch, server):
    """So that a broken download never gets its name."""
    small_registry(tmp_path, monkeypatch)
    server.content = b"broken"
    with pytest.raises(DataError, match=r"can.t fetch .*hash"):
        load_corpus("toy")
    assert server.asked == ["/a/b/c/data/train.tsv"]
    assert not (tmp_path / "home" / "data" / "raw" / "toy" / "train.tsv").exists()
