"""The model card of a run: what its tagger finds, how well, what it never saw, how it is loaded.

A card holds what rows and the registry record, and becomes the README.md of a saved tagger:

    tagger = read_tagger(run_id)
    tagger.push_to_hub("me/my-tagger", card=model_card(run_id))
    tagger.export_head("Disease", "disease", card=model_card(run_id, "Disease"))
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from ..choices import ENCODERS
from ..corpora.registry import CORPORA, split_name
from ..errors import WorkbookError, unknown
from ..home import exists, runs_folder
from ..models.ensemble import read_plans
from ..models.heads import HeadPlan
from ..models.saving import read_description
from .rows import MEMBER, arm_of, inputs_of, is_readable, read_row, read_rows

_MEASURES = ("precision", "recall", "f1")
_UNANNOTATED = {
    "mask": "its text taught nothing about other types",
    "marginal": "its untagged words could be of any other type",
    "negative": "its untagged words were taken to be of no type",
}
_LOAD_TAGGER = """\
```python
from bioner_lib import read_tagger

tagger = read_tagger(folder)
tagger.tag("Mutations in OPA1 cause optic atrophy.")
```

`folder` is this folder, or owner/name on the hub; `bioner_lib` is the library of the
[BioNER workbook]({workbook}). `tagger.export_head(name, another_folder)` writes one head as a model
that needs only `transformers`."""
_LOAD_HEAD = """\
```python
from transformers import pipeline

tagger = pipeline("token-classification", model=folder, aggregation_strategy="first")
tagger("Mutations in OPA1 cause optic atrophy.")
```

`folder` is this folder, or owner/name on the hub. The scores above are those of the
[BioNER workbook]({workbook}), which takes the best legal sequence of tags. A pipeline takes each
word's most probable tag, finds some other spans, and usually scores lower."""
_WORKBOOK = "https://github.com/bioner-workbook/bioner-workbook"


def model_card(run_id: str, head: str = ""):
    """The model card (huggingface_hub.ModelCard) of a run's tagger, or of one of its heads.

    Scores are means over the seeds of the run's configuration that are on disk. Raises
    WorkbookError for an unknown run, for one that left no tagger, and for an unknown head.
    """
    from huggingface_hub import ModelCard, ModelCardData

    row = read_row(runs_folder() / run_id)
    if row is None:
        raise unknown("run", run_id, [row["run_id"] for row in read_rows()])
    plans = _plans(run_id, head)
    types = list(dict.fromkeys(type for plan in plans for type in plan.types))
    encoder = ENCODERS.get(row["config"]["encoder"], row["config"]["encoder"])
    data = ModelCardData(
        language="en" if _are_registered(row) else None,
        base_model=encoder if encoder.count("/") == 1 and not exists(encoder) else None,
        library_name="transformers" if head else "bioner-workbook",
        pipeline_tag="token-classification",
        tags=["biomedical", "named-entity-recognition"],
    )
    load = (_LOAD_HEAD if head else _LOAD_TAGGER).format(workbook=_WORKBOOK)
    parts = {
        f"# Tagger of {_listed(types)}": _about(row, types, Path(encoder).name, head),
        "## Training text": _training_text(row),
        "## Scores": _scores(row, plans, types),
        "## What it did not learn": _limits(row, types),
        "## Cost": _cost(row),
        "## How to load it": load,
    }
    body = "\n\n".join(f"{title}\n\n{text}" for title, text in parts.items())
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}\n")


def _plans(run_id: str, head: str) -> list[HeadPlan]:
    """All heads of a run's tagger, or the named one."""
    folder = runs_folder() / run_id / "model"
    if not folder.is_dir():
        raise WorkbookError(f"run {run_id!r} left no tagger, so there is nothing to describe")
    read = read_description(folder)[1] if head else read_plans(folder)
    plans = {plan.name: plan for plan in read}
    if head and head not in plans:
        raise unknown("head", head, plans)
    return [plans[head]] if head else list(plans.values())


def _about(row: Mapping, types: Sequence[str], encoder: str, head: str) -> str:
    config = row["config"]
    part = f"head `{head}` of run" if head else "run"
    seeds = f"seed {config['seed']}"
    if members := config.get("seeds"):
        seeds = f"an ensemble of the seeds {', '.join(map(str, members))}"
    return (
        f"It finds mentions of {_listed(types)} in text. "
        f"It is {part} `{row['run_id']}` of the [BioNER workbook]({_WORKBOOK}): encoder {encoder}, "
        f"heads {config['heads']}, tags in {config['scheme']}, epochs {config['epochs']}, "
        f"{seeds}."
    )


def _training_text(row: Mapping) -> str:
    """Corpora with their licences; then the corpora of earlier phases and of teachers."""
    lines = []
    for name, about in _trained(row).items():
        sentences = f"{about['sentences']['train']:,}"
        lines.append([name, ", ".join(about["types"]), sentences, *_origin(name)])
    text = _table(["corpus", "types", "training sentences", "licence", "source"], lines)
    for field, parent in row.get("parents", {}).items():
        phases = parent["phases"]
        if field.startswith(MEMBER):  # the table above holds the text of its last phase
            phases = phases[:-1]
        if not phases:
            continue
        names = [name for phase in phases for name in phase["corpora"]]
        earlier = [[Path(name).name, *_origin(name)] for name in dict.fromkeys(names)]
        text += f"\n\nThe run builds on `{parent['run_id']}` (`{field}`), which learned from:\n\n"
        text += _table(["corpus", "licence", "source"], earlier)
        teachers = dict.fromkeys(phase["teacher"] for phase in phases if phase.get("teacher"))
        if teachers:
            named = _listed([f"`{teacher}`" for teacher in teachers])
            text += f"\n\nIts teacher was {named}."
    return text


def _scores(row: Mapping, plans: Sequence[HeadPlan], types: Sequence[str]) -> str:
    readable = [other for other in read_rows() if is_readable(other)]
    own = (arm_of(row), inputs_of(row))
    repeated = [other for other in readable if (arm_of(other), inputs_of(other)) == own]
    seeds = sorted(other["config"]["seed"] for other in repeated)
    lines = []
    for corpus, splits in row["scores"].items():
        is_read = any(corpus in plan.corpora or not plan.exclusive for plan in plans)
        for type in types if is_read else ():
            if type in splits.get("test", {}).get("types", {}):
                scored = [other["scores"][corpus]["test"]["types"][type] for other in repeated]
                measures = [_spread([one[key] for one in scored]) for key in _MEASURES]
                lines.append([corpus, type, f"{scored[0]['support']:,}", *measures])
    if not lines:
        return "It was scored on no test split."
    text = (
        "Strict precision, recall and F1 in percent on the test splits: a mention counts if its "
        "first word, its last word and its type are right. "
    )
    if members := row["config"].get("seeds"):
        text += f"The seeds {_listed(members)} tag together."
    elif len(seeds) == 1:
        text += f"One seed ({seeds[0]}), so that the spread between seeds isn't known."
    else:
        text += f"Mean ± standard deviation over the seeds {_listed(seeds)}."
    return f"{text}\n\n" + _table(["corpus", "type", "mentions", *_MEASURES], lines)


def _limits(row: Mapping, types: Sequence[str]) -> str:
    lines = [f"It knows no types but {_listed(types)}."]
    if _are_registered(row):
        lines.append("All its corpora are in English.")
    else:
        lines.append("The language of its corpora isn't recorded.")
    for name, about in _trained(row).items():
        if set(types) - set(about["types"]):
            how = _UNANNOTATED[row["config"].get("unannotated", "negative")]
            if labelled := row.get("self_labelled", {}).get(name):
                how = f"a teacher labelled the other types in {labelled:,} of its sentences"
            lines.append(f"`{name}` annotates {_listed(about['types'])} only; {how}.")
    for name, splits in row["scores"].items():
        if not_asked := splits.get("test", {}).get("not_asked"):
            lines.append(f"`{name}` annotates {_listed(not_asked)} too, which isn't scored.")
    for name, about in row["data"].items():
        if not about["official"] and "test" in about["sentences"]:
            lines.append(f"The test split of `{name}` isn't a whole published one.")
        if "note" in about:
            lines.append(f"`{name}`: {about['note']}.")
    for name, shared in row.get("shared_documents", {}).items():
        for other, count in shared.items():
            lines.append(
                f"{count:,} documents of `{name}`, which it learned from, are in the test "
                f"split of `{other}` too, so that its score may be too high."
            )
    for name in row.get("not_compared", ()):
        lines.append(f"Whether `{name}` shares documents with a test split isn't known.")
    return "\n".join(f"- {line}" for line in lines)


def _cost(row: Mapping) -> str:
    cost, device = row["cost"], row["device"]
    spent = "of training"
    if seeds := row["config"].get("seeds"):
        spent = f"to load {len(seeds)} members, whose training other runs paid,"
    lines = [
        f"{cost['seconds']:,.0f} seconds {spent} on {device['name']}, {device['precision']}",
        f"{cost['peak_memory_bytes'] / 2**30:.1f} GiB of memory at the peak",
    ]
    if cost.get("joules") is not None:
        lines.append(f"{cost['joules']:,.0f} joules")
    return "\n".join(f"- {line}" for line in lines)


def _trained(row: Mapping) -> dict[str, dict]:
    """What the row records of the corpora that the run was trained on: the first ones."""
    count = len(row["config"]["corpora"])
    return dict(list(row["data"].items())[:count])


def _are_registered(row: Mapping) -> bool:
    """Whether all corpora that made the weights are in the registry, which is English."""
    names = list(_trained(row))
    for parent in row.get("parents", {}).values():
        names += [name for phase in parent["phases"] for name in phase["corpora"]]
    return all(split_name(name)[0] in CORPORA for name in names)


def _origin(name: str) -> tuple[str, str]:
    """A corpus's licence and its source."""
    entry = CORPORA.get(split_name(name)[0], {})
    if "view" in entry:
        return _origin(entry["view"])
    return entry.get("licence", "not recorded"), entry.get("cite", "not recorded")


def _spread(values: Sequence[float]) -> str:
    """Mean, and the standard deviation (n-1) of several values, in percent."""
    percent = f"{100 * mean(values):.1f}"
    return f"{percent} ± {100 * stdev(values):.1f}" if len(values) > 1 else percent


def _listed(names: Sequence[object]) -> str:
    """a, b and c"""
    *first, last = map(str, names)
    return f"{', '.join(first)} and {last}" if first else last


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
