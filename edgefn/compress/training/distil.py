"""Trains a torch module to answer as a teacher does, and to be right where labels are known.

Distillation (Hinton et al. 2015, arXiv:1503.02531); of outputs that are no probabilities by the
squared error on them (Ba & Caruana 2014, arXiv:1312.6184). The teacher is asked about mixtures of
inputs as well, which makes a few rows go a long way (Beyer et al. 2022, arXiv:2106.05237).
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

Answers = Callable[..., Sequence[Tensor]]

# What being wrong counts beside being unlike the teacher. The teacher knows more than a label says,
# and labels are there for the real rows alone, not for mixtures.
_LABELS_SHARE: Final = 0.3
_HELD_BACK: Final = 0.2
# The same answer on any machine. Two threads gain little on networks of this size, and where
# something else runs on the second core they wait for each other: 18 times as long (measured).
_THREADS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and how fast to train.

    Attributes:
        steps: At most.
        batch: Rows in a step.
        rate: Of learning, at its highest; it falls to nothing along a cosine.
        check_every: Steps between two looks at the rows that were held back.
        patience: Looks without an improvement, after which it ends.
        seed: Of the order of rows and of the mixtures.
    """

    steps: int = 800
    batch: int = 32
    rate: float = 2e-3
    check_every: int = 40
    patience: int = 6
    seed: int = 0


def distil(
    teacher: Answers,
    student: nn.Module,
    inputs: Sequence[Tensor],
    labels: Tensor | None = None,
    *,
    training: Training | None = None,
    probabilities: Sequence[bool] = (),
    on_progress: Callable[[float], None] = lambda share: None,
) -> float:
    """Trains a student until it no longer gets nearer to its teacher on rows that are held back.

    Args:
        teacher: Takes tensors as the student does and returns its outputs.
        student: Changed in place; left in evaluation with the weights that did best.
        inputs: One tensor an input, the first dimension its rows.
        labels: The true classes, by their places in the first output, if they are known.
        training: How long and how fast.
        probabilities: Which outputs, by place, are probabilities; none unless said.
        on_progress: Called with the share of the steps that are done, 0 to 1.

    Returns:
        The loss on the rows held back: of all outputs, the mean squared error over the variance.
    """
    settings = training or Training()
    with _threads(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        generator = torch.Generator().manual_seed(settings.seed)
        order = torch.randperm(len(inputs[0]), generator=generator)
        aside = max(1, int(len(order) * _HELD_BACK))
        held, rest = order[:aside], order[aside:]
        lesson = _Lesson(teacher, inputs, labels, rest, generator, probabilities)
        checked = [part[held] for part in inputs]
        with torch.no_grad():
            wanted = [answer.detach() for answer in teacher(*checked)]
        return _train(student, lesson, checked, wanted, settings, on_progress)


class _Lesson:
    """Draws batches, asks the teacher about them, and says how wrong a student is."""

    def __init__(
        self,
        teacher: Answers,
        inputs: Sequence[Tensor],
        labels: Tensor | None,
        rows: Tensor,
        generator: torch.Generator,
        probabilities: Sequence[bool],
    ) -> None:
        self._teacher = teacher
        self._inputs = inputs
        self._labels = labels
        self._rows = rows
        self._generator = generator
        with torch.no_grad():
            answers = teacher(*[part[rows] for part in inputs])
        self._scales = [scale_of(answer) for answer in answers]
        self._has_shares = labels is not None and are_shares(answers[0])
        self._probabilities = [*probabilities, *[False] * (len(answers) - len(probabilities))]

    def loss(self, student: nn.Module, size: int) -> Tensor:
        """Returns how wrong the student is on a batch that is drawn at random."""
        loss = self._unlike(student, size)
        return loss if self._labels is None else loss + _LABELS_SHARE * self._wrong(student, size)

    def _unlike(self, student: nn.Module, size: int) -> Tensor:
        batch = self._mixed(size)
        with torch.no_grad():
            wanted = self._teacher(*batch)
        losses = [
            functional.kl_div((found + 1e-9).log(), answer, reduction="batchmean")
            if probable
            else functional.mse_loss(found, answer) / scale
            for found, answer, scale, probable in zip(
                outputs_of(student(*batch)), wanted, self._scales, self._probabilities, strict=True
            )
        ]
        return torch.stack(losses).sum()

    def _wrong(self, student: nn.Module, size: int) -> Tensor:
        assert self._labels is not None  # for the type checker
        rows = self._drawn(size)
        scores = outputs_of(student(*[part[rows] for part in self._inputs]))[0]
        if self._has_shares:
            scores = scores.clamp_min(1e-9).log()
        return functional.cross_entropy(scores, self._labels[rows])

    def _drawn(self, size: int) -> Tensor:
        places = torch.randint(len(self._rows), (size,), generator=self._generator)
        return self._rows[places]

    def _mixed(self, size: int) -> list[Tensor]:
        """Returns rows of which half are mixed with another one; integers never are."""
        one, other = self._drawn(size), self._drawn(size)
        shares = torch.rand(size, generator=self._generator)
        shares[: size // 2] = 1.0
        batch = []
        for part in self._inputs:
            if not part.is_floating_point():
                batch.append(part[one])
                continue
            weights = shares.reshape(-1, *[1] * (part.ndim - 1)).to(part.dtype)
            batch.append(weights * part[one] + (1 - weights) * part[other])
        return batch


def _train(
    student: nn.Module,
    lesson: _Lesson,
    checked: Sequence[Tensor],
    wanted: Sequence[Tensor],
    settings: Training,
    on_progress: Callable[[float], None],
) -> float:
    trained = [weight for weight in student.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    best, kept, since = error_of(student, checked, wanted), _state(student), 0
    for step in range(1, settings.steps + 1):
        student.train()
        optimiser.zero_grad()
        loss = lesson.loss(student, settings.batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        schedule.step()
        if step % settings.check_every:
            continue
        on_progress(step / settings.steps)
        error = error_of(student, checked, wanted)
        since = 0 if error < best else since + 1
        if error < best:
            best, kept = error, _state(student)
        if since >= settings.patience:
            break
    student.load_state_dict(kept)
    student.eval()
    return best


def error_of(module: nn.Module, inputs: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Returns the mean, over outputs, of the squared error over the variance; never NaN."""
    module.eval()
    with torch.no_grad():
        found = outputs_of(module(*inputs))
    errors = [
        float(functional.mse_loss(one, other) / scale_of(other))
        for one, other in zip(found, wanted, strict=True)
    ]
    error = sum(errors) / len(errors)
    return error if error == error else float("inf")


def outputs_of(answer: Any) -> list[Tensor]:
    """Returns what a module's forward gives as a list, whether it is one tensor or several."""
    return list(answer) if isinstance(answer, tuple | list) else [answer]


def scale_of(answer: Tensor) -> Tensor:
    """Returns the variance of an output, or 1 if it is always the same."""
    variance = answer.var(unbiased=False)
    return torch.where(variance > 0, variance, torch.ones_like(variance))


def are_shares(answer: Tensor) -> bool:
    """Whether each row of an output is a distribution, as softmax gives it, and not of logits."""
    return bool((answer >= 0).all()) and torch.allclose(
        answer.flatten(1).sum(1), torch.ones(len(answer), dtype=answer.dtype), atol=1e-3
    )


def _state(module: nn.Module) -> dict[str, Any]:
    return copy.deepcopy(module.state_dict())


@contextmanager
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)
