"""Mean weights of the last epochs, and learning rates by layer."""

import pytest
import torch
from small_runs import run_in, small
from tiny_encoders import make_encoder
from torch import nn

from bioner_lib import WorkbookError, load_corpus
from bioner_lib.training import fitting
from bioner_lib.training import loop as training
from bioner_lib.training.averaging import LastWeights
from bioner_lib.training.fitting import fit
from bioner_lib.training.loop import Loop
from bioner_lib.training.optimization import ABOVE, EMBEDDINGS, layer_rates, make_optimizer


def weights(tagger):
    return {name: value.clone() for name, value in tagger.state_dict().items()}


def test_the_mean_by_hand():
    model = nn.BatchNorm1d(1)
    last = LastWeights(model, 2)
    for value, batches in ((1.0, 1), (2.0, 2), (4.0, 3)):
        with torch.no_grad():
            model.weight.fill_(value)
            model.num_batches_tracked.fill_(batches)
        last.add()
    assert len(last.kept) == 2
    with last.in_place():
        assert model.weight.item() == 3.0, "of the last two"
        assert model.num_batches_tracked.item() == 3, "the last one"
    assert model.weight.item() == 4.0


def test_the_last_weights_return_when_scoring_fails():
    model = nn.Linear(1, 1)
    last = LastWeights(model, 3)
    last.add()
    nn.init.zeros_(model.weight)
    last.add()
    with pytest.raises(ZeroDivisionError), last.in_place():
        assert model.weight.item() != 0
        raise ZeroDivisionError
    assert model.weight.item() == 0


@pytest.mark.parametrize("folder", [True, False])
def test_dev_judges_the_mean_and_the_run_keeps_what_it_judged(tiny, tmp_path, monkeypatch, folder):
    """Training itself goes on from the last weights, so its losses are those without averaging."""
    config = small(tiny, epochs=3, average=2, learning_rate=3e-3)
    corpora = [load_corpus("sample").limit(40)]
    judged, trained, inner = [], [], Loop.one_epoch

    def watched(self, epoch, dev=None):
        record = inner(self, epoch, dev)
        trained.append(weights(self.tagger))
        return record

    def dev_scores(tagger, *_):
        judged.append(weights(tagger))
        return {"sample": {"micro": {"f1": float(len(judged))}}}

    monkeypatch.setattr(training.Loop, "one_epoch", watched)
    plain = fit(small(tiny, epochs=3, learning_rate=3e-3), corpora, progress=False)
    trained.clear()
    monkeypatch.setattr(fitting, "dev_scores", dev_scores)
    done = fit(config, corpora, tmp_path if folder else None, progress=False)
    assert [r["loss"] for r in done.history] == [r["loss"] for r in plain.history]
    name = "encoder.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(judged[0][name], trained[0][name]), "there is one epoch so far"
    for i in (1, 2):
        mean = (trained[i - 1][name] + trained[i][name]) / 2
        torch.testing.assert_close(judged[i][name], mean)
    assert torch.equal(done.tagger.state_dict()[name], judged[2][name])


def test_a_killed_run_remembers_its_last_weights(tiny, tmp_path, monkeypatch):
    config, corpora = small(tiny, epochs=3, average=3), [load_corpus("sample").limit(40)]
    rising = iter(range(1, 100))  # so that the last epoch's mean is kept

    def dev_scores(*_):
        return {"sample": {"micro": {"f1": float(next(rising))}}}

    monkeypatch.setattr(fitting, "dev_scores", dev_scores)
    whole = fit(config, corpora, progress=False)
    inner = Loop.one_epoch

    def killed(self, epoch, dev=None):
        if epoch == 2:
            raise KeyboardInterrupt
        return inner(self, epoch, dev)

    monkeypatch.setattr(training.Loop, "one_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        fit(config, corpora, tmp_path, progress=False)
    monkeypatch.setattr(training.Loop, "one_epoch", inner)
    resumed = fit(config, corpora, tmp_path, progress=False)
    assert [r["loss"] for r in resumed.history] == [r["loss"] for r in whole.history]
    for name, value in whole.tagger.state_dict().items():
        assert torch.equal(resumed.tagger.state_dict()[name], value), name


def test_layers_learn_more_slowly_the_deeper_they_lie(tiny):
    loop = Loop(small(tiny, layer_decay=0.5, learning_rate=0.1), [load_corpus("sample").limit(8)])
    layers = loop.tagger.encoder.config.num_hidden_layers
    expected = {ABOVE: 1.0, EMBEDDINGS: 0.5 ** (layers + 1)}
    expected |= {layer: 0.5 ** (layers - layer) for layer in range(layers)}
    assert layer_rates(loop.tagger, 0.5) == pytest.approx(expected)
    rates = {}
    for group in loop.optimizer.param_groups:
        rates |= {id(parameter): group["initial_lr"] for parameter in group["params"]}
    for name, parameter in loop.tagger.named_parameters():
        if parameter is loop.rows.weight:
            continue
        share = 1.0
        if "embeddings." in name:
            share = expected[EMBEDDINGS]
        elif ".layer." in name:
            share = expected[int(name.split(".layer.")[1].split(".")[0])]
        assert rates[id(parameter)] == pytest.approx(0.1 * share), name
    plain = Loop(small(tiny, learning_rate=0.1), [load_corpus("sample").limit(8)])
    ratio = loop.rows.rates / plain.rows.rates
    assert ratio == pytest.approx([expected[EMBEDDINGS]] * len(ratio)), "the word embeddings too"


def test_weights_from_a_file_move_to_the_models_device():
    """A checkpoint is read onto the CPU, wherever the training runs."""
    model = nn.Linear(2, 1)
    last = LastWeights(model, 2)
    last.add()
    state = last.state_dict()
    moved = LastWeights(nn.Linear(2, 1, device="meta"), 2)
    moved.load_state_dict(state)
    assert {value.device.type for value in moved.kept[0].values()} == {"meta"}


def test_weights_that_do_not_change_stay_to_the_bit():
    model = nn.Linear(100, 100)
    last = LastWeights(model, 3)
    for _ in range(3):
        last.add()
    assert torch.equal(last.mean()["weight"], model.weight)


@pytest.mark.parametrize(
    "family", ["bert", "roberta", "electra", "deberta-v2", "distilbert", "modernbert", "xlnet"]
)
def test_every_family_names_its_layers(family, tmp_path):
    config = small(str(make_encoder(family, tmp_path)), layer_decay=0.9)
    rates = layer_rates(Loop(config, [load_corpus("sample").limit(8)]).tagger, 0.9)
    assert set(rates) == {0, 1, EMBEDDINGS, ABOVE}


def test_what_is_read_before_the_layers_learns_most_slowly(tmp_path):
    """On a GPU the word embeddings are in the dense optimizer; relative positions always are."""
    config = small(str(make_encoder("deberta-v2", tmp_path)), layer_decay=0.5, learning_rate=0.1)
    loop = Loop(config, [load_corpus("sample").limit(8)])
    names = {id(p): name for name, p in loop.tagger.named_parameters()}
    dense = make_optimizer(config, loop.tagger, loop.loss_of)
    rates = {}
    for group in dense.param_groups:
        rates |= {names[id(p)]: group["lr"] for p in group["params"] if id(p) in names}
    table = loop.tagger.encoder.get_input_embeddings().weight
    assert rates[names[id(table)]] == pytest.approx(0.1 * 0.5**3)
    relative = [rate for name, rate in rates.items() if name.endswith("rel_embeddings.weight")]
    assert relative == [pytest.approx(0.1 * 0.5**3)] * len(relative)


@pytest.mark.parametrize("family", ["albert", "funnel"])
def test_an_encoder_without_one_stack_of_layers_is_refused(family, tmp_path):
    folder = str(make_encoder(family, tmp_path))
    with pytest.raises(WorkbookError, match=rf"layer_decay=0.9 needs an encoder.*'{family}'"):
        run_in(tmp_path, small(folder, layer_decay=0.9))
