"""Train the keyword spotter and write kws.onnx.

    python functions/voice/train.py [--cache FOLDER] [--out FILE] [--chunks N]

A depthwise separable network learns from scenes that another process makes at the same time, a
chunk ahead. What is written is the network at the end of the schedule: nothing is picked by its
score, and the validation voices only watch.
"""

import argparse
import copy
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from augment import Setting, Stage
from features import FRAMES, LABELS, MELS, WINDOW, fit_window, log_mel
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from synthesize import DEFAULT_CACHE, Corpus, SynthesizerMissing, load
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

MODEL = Path(__file__).with_name("kws.onnx")
SEED = 20
CHUNKS, CHUNK, PASSES, BATCH = 72, 2_048, 2, 64
PEAK_RATE, WARM_UP, WEIGHT_DECAY, SMOOTHING = 3e-3, 0.15, 0.01, 0.02

_UNKNOWN, _SILENCE = LABELS.index("unknown"), LABELS.index("silence")
_NOISELESS = 0.1
_SNR_DB = (2.0, 30.0)
_STRETCH = 0.14  # relative, either way: vocal tracts that the synthesiser does not have
_OTHER_LENGTH = 0.12  # of the scenes are not just one second long, like what callers send
_MASKED = 0.25  # of the scenes lose a band of frequencies

_words: Corpus  # of the process that makes scenes


class KeywordNet(nn.Module):
    """Features to one logit a label.

    Depthwise separable convolutions look at sound in two dimensions until a filter as high as what
    is left of the spectrum makes one column of it; from there on, they see only time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(1, 32, (5, 5), stride=2),
            *_separable(32, 64, (3, 3)),
            *_separable(64, 64, (3, 3), stride=2),
            *_separable(64, 96, (3, 3)),
            *_separable(96, 96, (1, MELS // 4), padding=(0, 0)),
            *_separable(96, 160, (5, 1)),
            *_separable(160, 192, (5, 1)),
        )
        self.drop = nn.Dropout(0.05)
        self.head = nn.Linear(2 * 192, len(LABELS))

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        """Logits of a batch, from what is heard on average and at most."""
        heard = self.body(log_mel)
        pooled = torch.cat((heard.mean(dim=(2, 3)), heard.amax(dim=(2, 3))), dim=1)
        return self.head(self.drop(pooled))


def _convolution(
    before: int,
    after: int,
    kernel: tuple[int, int],
    *,
    stride: int = 1,
    padding: tuple[int, int] | None = None,
    groups: int = 1,
) -> list[nn.Module]:
    """A convolution, batch normalisation and a rectifier."""
    around = padding or (kernel[0] // 2, kernel[1] // 2)
    return [
        nn.Conv2d(before, after, kernel, stride, around, groups=groups, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]


def _separable(before: int, after: int, kernel: tuple[int, int], **how: Any) -> list[nn.Module]:
    """A convolution of each channel by itself, then one that mixes the channels."""
    alone = _convolution(before, before, kernel, groups=before, **how)
    return alone + _convolution(before, after, (1, 1))


def _scene_length(rng: np.random.Generator, word: np.ndarray | None) -> int:
    """Mostly a second; else from hardly longer than the word to two seconds."""
    if rng.random() >= _OTHER_LENGTH:
        return WINDOW
    shortest = WINDOW // 4 if word is None else min(WINDOW, len(word) + 320)
    return int(rng.integers(shortest, 2 * WINDOW))


def _stretched(rng: np.random.Generator, word: np.ndarray) -> np.ndarray:
    """The word played faster or slower, which moves its pitch and its formants."""
    length = min(WINDOW - 1, int(len(word) * rng.uniform(1 - _STRETCH, 1 + _STRETCH)))
    return np.interp(np.linspace(0, len(word) - 1, length), np.arange(len(word)), word)


def _draw(rng: np.random.Generator, corpus: Corpus, stage: Stage, label: int) -> np.ndarray:
    """One second of a random scene with this label."""
    word = None
    if label != _SILENCE:
        word = _stretched(rng, corpus.clips[rng.choice(np.flatnonzero(corpus.labels == label))])
    snr_db = np.inf if rng.random() < _NOISELESS else rng.uniform(*_SNR_DB)
    setting = Setting(length=_scene_length(rng, word), decay_s=(0.08, 0.55), colour_db=8.0)
    return fit_window(stage.scene(rng, word, snr_db, setting))


def _masked(rng: np.random.Generator, features: np.ndarray) -> np.ndarray:
    """Blank a band out of some scenes, so that no word hangs on a few frequencies."""
    features = features.copy()
    for one in features:
        if rng.random() < _MASKED:
            width = rng.integers(1, MELS // 5)
            start = rng.integers(MELS - width)
            one[:, :, start : start + width] = one.mean()
    return features


def _start_scene_maker(cache: Path) -> None:
    """Give the process that makes scenes its words."""
    global _words
    _words = load("train", cache)


def _make_chunk(index: int) -> tuple[np.ndarray, np.ndarray]:
    """The features and labels of one chunk, each scene in several disguises."""
    rng = np.random.default_rng([SEED, index])
    stage = Stage(talk=_words.other_words)
    labels = rng.choice(len(LABELS), size=CHUNK)
    features = np.concatenate([log_mel(_draw(rng, _words, stage, label)[None]) for label in labels])
    passes = [_masked(rng, features) for _ in range(PASSES)]
    return np.concatenate(passes), np.tile(labels, PASSES)


def _chunks(cache: Path, count: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """All chunks in order, the next one made while this one is learnt."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, _start_scene_maker, (cache,)) as pool:
        ahead = [pool.submit(_make_chunk, index) for index in range(min(2, count))]
        for index in range(count):
            features, labels = ahead.pop(0).result()
            if index + 2 < count:
                ahead.append(pool.submit(_make_chunk, index + 2))
            yield torch.from_numpy(features), torch.from_numpy(labels)


def _validation(cache: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Scenes at 10 dB of the validation voices, and of nobody."""
    corpus = load("validation", cache)
    stage, rng = Stage(talk=corpus.other_words), np.random.default_rng(SEED)
    silences = int(np.sum(corpus.labels == 0))
    words = [*corpus.clips, *[None] * silences]
    scenes = [stage.scene(rng, word, 10.0, Setting()) for word in words]
    features = np.concatenate([log_mel(scene[None]) for scene in scenes])
    labels = np.concatenate((corpus.labels, np.full(silences, _SILENCE)))
    return torch.from_numpy(features), labels


def _balanced_accuracy(net: nn.Module, features: torch.Tensor, labels: np.ndarray) -> float:
    """The mean over the labels of the share of scenes that are recognised."""
    net.eval()
    with torch.inference_mode():
        said = torch.cat([net(part) for part in features.split(BATCH)]).argmax(1).numpy()
    return float(np.mean([np.mean(said[labels == label] == label) for label in set(labels)]))


def fit(cache: Path, chunks: int) -> nn.Module:
    """Train, show how it goes, and return the network."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    net = KeywordNet().to(memory_format=torch.channels_last)
    loss_of = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=WEIGHT_DECAY)
    steps = chunks * CHUNK * PASSES // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=steps, pct_start=WARM_UP
    )
    validation = _validation(cache)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("learning", total=chunks)
        for number, (features, labels) in enumerate(_chunks(cache, chunks), 1):
            net.train()
            for part, truth in zip(features.split(BATCH), labels.split(BATCH), strict=True):
                optimizer.zero_grad()
                loss = loss_of(net(part), truth)
                loss.backward()
                optimizer.step()
                schedule.step()
            progress.update(task, advance=1, description=f"learning, loss {loss.item():.3f}")
            if number % 8 == 0 or number == chunks:
                accuracy = _balanced_accuracy(net, *validation)
                progress.print(f"{number * CHUNK:>7} scenes: validation at 10 dB {accuracy:.4f}")
    return net


def _folded(net: KeywordNet) -> KeywordNet:
    """The same network with each batch normalisation inside the convolution before it."""
    net = copy.deepcopy(net).eval()
    layers = []
    for layer in net.body:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    net.body = nn.Sequential(*layers)
    return net


def export(net: KeywordNet, path: Path) -> None:
    """Write one ONNX file with a free batch dimension."""
    program = torch.onnx.export(
        _folded(net).to(memory_format=torch.contiguous_format),
        (torch.zeros(2, 1, FRAMES, MELS),),
        input_names=["log_mel"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]  # stack traces, which name the folders of this machine
        part.doc_string = ""
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> int:
    """Train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="where the corpus is kept"
    )
    parser.add_argument("--out", type=Path, default=MODEL, help="the model's file")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"of {CHUNK} scenes to learn")
    arguments = parser.parse_args()
    console, started = Console(), time.monotonic()
    try:
        load("train", arguments.cache)
    except SynthesizerMissing as error:
        console.print(error, style="red")
        return 1
    net = fit(arguments.cache, arguments.chunks)
    export(net, arguments.out)
    parameters = sum(weights.numel() for weights in net.parameters())
    size_kb, minutes = arguments.out.stat().st_size / 1e3, (time.monotonic() - started) / 60
    console.print(f"{parameters} parameters, {size_kb:.0f} kB, {minutes:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
