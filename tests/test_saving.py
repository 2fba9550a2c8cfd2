"""A tagger's folder: formats, damage, where it is found, and what stock loaders make of it."""

import json
from pathlib import Path

import pytest
from small_runs import small, tagger_for
from transformers import AutoModel, AutoModelForTokenClassification, pipeline

from bioner_lib import MultiTaskTagger, WorkbookError, load_corpus, run
from bioner_lib.models.saving import FILES

WORDS = [sentence.tokens for sentence in load_corpus("sample").test[:8]]


@pytest.fixture
def tagger(tiny):
    return tagger_for(tiny, [load_corpus("sample").limit(8)], encoder_name="mine").eval()


@pytest.fixture
def folder(tagger, tmp_path) -> Path:
    tagger.save_pretrained(tmp_path / "model", card="# A card")
    return tmp_path / "model"


def as_version_0_4_saved_it(folder):
    """One folder without a format number; the weights under the stock name."""
    for path in (folder / "encoder").iterdir():
        path.rename(folder / path.name)
    (folder / "encoder").rmdir()
    (folder / "tagger.safetensors").rename(folder / "model.safetensors")
    described = json.loads((folder / "tagger.json").read_text())
    del described["format"]
    (folder / "tagger.json").write_text(json.dumps(described))


def test_the_folder_holds_what_its_page_says(folder):
    found = {path.name for path in folder.iterdir()}
    assert found == {
        "tagger.json",
        "tagger.safetensors",
        "encoder",
        "config.json",
        "README.md",
    }
    assert json.loads((folder / "encoder" / "config.json").read_text())["model_type"] == "bert"
    assert (folder / "README.md").read_text() == "# A card"


def test_the_card_of_an_earlier_tagger_is_deleted_and_no_other_file(tagger, folder, tmp_path):
    tagger.save_pretrained(folder)
    assert not (folder / "README.md").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# My project")
    tagger.save_pretrained(tmp_path / "mine")
    assert (tmp_path / "mine" / "README.md").read_text() == "# My project"


def test_folders_of_earlier_versions_load(tagger, folder):
    as_version_0_4_saved_it(folder)
    again = MultiTaskTagger.from_pretrained(folder)
    assert again.predict(WORDS) == tagger.predict(WORDS)
    assert again.encoder_name == "mine"


@pytest.mark.parametrize("load", [AutoModel, AutoModelForTokenClassification])
def test_stock_loaders_refuse_the_folder(folder, load):
    with pytest.raises(ValueError, match="bioner-multitask"):
        load.from_pretrained(folder)


def test_a_stock_pipeline_refuses_the_folder(folder):
    with pytest.raises(ValueError, match="bioner-multitask"):
        pipeline("token-classification", model=str(folder))


def test_a_newer_format_is_refused(folder):
    described = json.loads((folder / "tagger.json").read_text())
    (folder / "tagger.json").write_text(json.dumps(described | {"format": 4}))
    with pytest.raises(WorkbookError, match=r"tagger.json has format 4.*update bioner-workbook"):
        MultiTaskTagger.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "keep"),
    [
        ("tagger.json", 20),
        ("tagger.safetensors", 5_000),
        ("tagger.safetensors", 0),
        ("encoder/config.json", 30),
    ],
)
def test_a_cut_file_is_named(folder, name, keep):
    path = folder / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WorkbookError, match=rf"{Path(name).parts[0]}.*can't be read"):
        MultiTaskTagger.from_pretrained(folder)


def test_missing_weights_are_named(folder):
    (folder / "tagger.safetensors").unlink()
    with pytest.raises(WorkbookError, match=r"tagger\.safetensors can't be read"):
        MultiTaskTagger.from_pretrained(folder)


def test_a_run_is_found_by_its_id(tiny, outputs):
    config = small(tiny, limit=8)
    run(config, progress=False)
    by_id = MultiTaskTagger.from_pretrained(config.run_id)
    by_folder = MultiTaskTagger.from_pretrained(outputs / "runs" / config.run_id / "model")
    assert by_id.predict(WORDS) == by_folder.predict(WORDS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("nothing", "a name there is owner/name"), ("me/nothing", "HF_HUB_OFFLINE")],
)
def test_an_unknown_name_is_told_what_it_can_be(outputs, name, reason):
    message = rf"no tagger '{name}': it is no folder, no run in .*runs .*, and not on the .* hub"
    with pytest.raises(WorkbookError, match=message) as caught:
        MultiTaskTagger.from_pretrained(name)
    assert reason in str(caught.value)


def test_a_tagger_on_the_hub_is_downloaded_without_other_files(
    tagger, folder, outputs, monkeypatch
):
    asked = {}

    def download(name, allow_patterns):
        asked[name] = allow_patterns
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    again = MultiTaskTagger.from_pretrained("me/my-tagger")
    assert asked == {"me/my-tagger": list(FILES)}
    assert again.predict(WORDS) == tagger.predict(WORDS)


@pytest.fixture
def repositories(monkeypatch) -> dict:
    """What is pushed to a hub that stands in for huggingface_hub's."""
    found = {}
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: Hub(found))
    return found


class Hub:
    def __init__(self, repositories):
        self.repositories = repositories

    def create_repo(self, repo_id, private, exist_ok):
        if repo_id.startswith("other/"):
            raise OSError("401 Client Error")  # as all the hub's errors are OSErrors
        self.repositories[repo_id] = {"private": private}
        return f"https://hub/{repo_id}"

    def upload_folder(self, repo_id, folder_path):
        files = {path.name for path in Path(folder_path).rglob("*") if path.is_file()}
        self.repositories[repo_id]["files"] = files


def test_a_tagger_is_pushed_with_its_card(tagger, repositories):
    address = tagger.push_to_hub("me/my-tagger", private=True, card="# A card")
    assert address == "https://hub/me/my-tagger"
    pushed = repositories["me/my-tagger"]
    assert pushed["private"]
    assert {"tagger.json", "tagger.safetensors", "tokenizer.json", "README.md"} <= pushed["files"]


def test_a_hub_that_refuses_is_told(tagger, repositories):
    with pytest.raises(WorkbookError, match=r"'other/x' can't be written .*401.*hf auth login"):
        tagger.push_to_hub("other/x")
