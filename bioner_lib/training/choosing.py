"""Which epoch is kept: scores on the dev splits of gold corpora, never on test."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..config import RunConfig
from ..corpora.corpus import Corpus
from ..corpora.splits import Split, refuse_test
from ..errors import WorkbookError
from ..evaluation.scoring import Score, score
from ..models.blocks import Cut
from ..models.heads import asked_types
from ..models.tagger import MultiTaskTagger
from . import processes


def choosing_corpora(
    config: RunConfig, corpora: Sequence[Corpus], also: Sequence[Corpus]
) -> list[Corpus]:
    """The corpora on whose dev splits an epoch is chosen: see `RunConfig.chosen_on`.

    `corpora` and `also` are those of the configuration, in its order.

    Raises WorkbookError for a silver corpus, for one without a dev split, and where there is none.
    """
    if config.chosen_on:
        return _named(config, [*corpora, *also])
    gold = [corpus for corpus in corpora if not corpus.silver]
    gold = gold or [corpus for corpus in also if "dev" in corpus.splits and not corpus.silver]
    if not gold:
        raise WorkbookError(
            f"{[corpus.name for corpus in corpora]} are silver, and no epoch can be chosen on "
            "labels that nobody checked; name a gold corpus with a dev split in also_test"
        )
    return gold


def _named(config: RunConfig, corpora: Sequence[Corpus]) -> list[Corpus]:
    names = [*config.corpora, *config.also_test]
    by_name = dict(zip(names, corpora, strict=True))
    for name in config.chosen_on:
        corpus = by_name[name]
        if corpus.silver or "dev" not in corpus.splits:
            why = "is silver" if corpus.silver else f"has only {list(corpus.splits)}"
            raise WorkbookError(
                f"chosen_on names {name!r}, which {why}; an epoch is chosen on the dev split of a "
                "gold corpus"
            )
    return [by_name[name] for name in config.chosen_on]


def dev_scores(
    tagger: MultiTaskTagger,
    dev: Sequence[Split],
    corpora: Sequence[Corpus],
    autocast: torch.dtype | None,
    cuts: dict[str, Cut] | None = None,
) -> dict[str, dict[str, Score]]:
    """Corpus -> type, micro or macro -> its measures on the dev split, as `score` gives them.

    Types that no head knows are left out, as they are in the scores of a run.

    `cuts` keeps this process's part of each split, cut into windows, from one call to the next.
    """
    result, cuts = {}, {} if cuts is None else cuts
    for split, corpus in zip(dev, corpora, strict=True):
        refuse_test(split, "choosing an epoch")
        if corpus.name not in cuts:
            cuts[corpus.name] = Cut(tagger.cut(split)).share(processes.rank(), processes.count())
        asked = asked_types(tagger.plans, corpus)
        found = tagger.predict(cuts[corpus.name], corpus.name, asked, autocast=autocast)
        gold = [[span for span in sentence.spans if span.type in asked] for sentence in split]
        result[corpus.name] = score(gold, processes.gather(found), asked)
    return result


def chosen_by(scores: Mapping[str, Mapping[str, Score]]) -> dict[str, float]:
    """Corpus -> micro F1, and `mean` over corpora, by which an epoch is chosen."""
    f1 = {name: measures["micro"]["f1"] for name, measures in scores.items()}
    return f1 | {"mean": float(np.mean(list(f1.values())))}


def dev_f1(
    tagger: MultiTaskTagger,
    dev: Sequence[Split],
    corpora: Sequence[Corpus],
    autocast: torch.dtype | None,
    cuts: dict[str, Cut] | None = None,
) -> dict[str, float]:
    """Corpus -> micro F1 on its dev split, and their mean; see `dev_scores`."""
    return chosen_by(dev_scores(tagger, dev, corpora, autocast, cuts))
