"""How a task reads a model: logits where answers are predicted, and the likelihood of words."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import IntEnum
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.network.batches import IGNORE, Batch, Encoded, answer_batch, collate
from bench.network.limits import attention_window
from bench.network.probes import is_causal, output_layer_is_last, reads_types

_REUSE_TOKENS = 256  # prompt tokens saved per batch from which a second forward pass pays
_FEW = 64  # examples of which more would take longer to try out than all take to score
_LOSS_LOGITS = 1 << 22  # of the vocabulary, whose likelihoods are looked at at a time: 16 MB
log = logging.getLogger(__name__)


class Way(IntEnum):
    """How texts are read, from the slowest, which is right by definition, to the fastest."""

    ALONE = 0  # one text at a time, without padding, by the network's own call
    WHOLE = 1  # texts side by side, padded
    PICKED = 2  # and the output layer applied only where an answer token is predicted
    SHARED = 3  # and keys and values computed once: a prompt's for all its answers, those of what
    # stands before every prompt for a whole batch


class Tried(NamedTuple):
    """Rows between whose lengths, in tokens, a way was found right."""

    shortest: int
    longest: int
    answer: int  # of the longest answer
    front: int  # before every prompt
    way: Way

    def holds_for(self, other: Tried) -> bool:
        """Whether the others lie within."""
        inside = self.shortest <= other.shortest and other.longest <= self.longest
        return inside and other.answer <= self.answer and other.front == self.front

    def and_for(self, other: Tried) -> Tried:
        """Both together; rows with something else in front replace these."""
        if self.front != other.front:
            return other
        return Tried(
            min(self.shortest, other.shortest),
            max(self.longest, other.longest),
            max(self.answer, other.answer),
            self.front,
            min(self.way, other.way),
        )


NOTHING = Tried(1 << 30, 0, 0, 0, Way.SHARED)


class TaskModel(nn.Module):
    """A network behind one call: a batch's logits, [n, A, V] for answer tokens, [n, L] for a head
    (of one output, which each of L choices gets, where an example has an input for each).

    It goes the fastest `way` that `settle` has found to give what the slowest gives. Of a batch it
    passes on what its network reads: no mask to a causal model (behind a right-padded text stands
    nothing that it reads, and without a mask attention takes its fast path), and token types only
    where they tell a second text.

    With `precision` bfloat16 its training passes are autocast to that, and those in eval mode with
    `scoring` bfloat16; the weights are not.
    """

    def __init__(self, net: Any, precision: str = "float32", scoring: str = "float32") -> None:
        super().__init__()
        self.net, self.precision, self.scoring = net, precision, scoring
        taken = inspect.signature(net.forward).parameters
        self.options = {"use_cache": False} if "use_cache" in taken else {}
        self.unread: set[str] = set()
        self.fastest = Way.WHOLE
        with torch.random.fork_rng():
            if net.get_output_embeddings() is not None:
                if is_causal(net):
                    self.unread.add("attention_mask")
                if output_layer_is_last(net):
                    self.fastest = Way.SHARED
            if "token_type_ids" not in taken or not reads_types(net):
                self.unread.add("token_type_ids")
        self.way = min(self.fastest, Way.PICKED)
        self.ways: dict[str, str] = {}  # what for -> the way taken there last
        self.tried: Tried | None = None  # of the weights as they are, while they stay so

    @property
    def picks(self) -> bool:
        """Whether the output layer is applied by itself, to the hidden states at the answers."""
        return self.way >= Way.PICKED

    def settle(self, purpose: str, scores: Callable[[], Tensor], fastest: Way = Way.PICKED) -> None:
        """Go the fastest way, up to `fastest`, on which `scores`, of texts of unlike length, are
        what they are on the slowest. A way that fails there is not gone."""
        training = self.net.training
        self.net.eval()
        kind = self.net.dtype if self.scoring == "float32" else torch.bfloat16
        with torch.no_grad(), torch.random.fork_rng():
            self.way = Way.ALONE
            expected = scores()
            for way in reversed(Way):
                self.way = way
                if way <= min(fastest, self.fastest) and _gives(expected, scores, kind):
                    break
        self.net.train(training)
        self.ways[purpose] = self.way.name.lower()
        log.info("%s: %s", purpose, self.ways[purpose])
        if self.way is Way.ALONE:
            log.warning("%s: one text at a time (slow), as padding would change it", purpose)

    @contextmanager
    def settled(
        self, purpose: str, scores: Callable[[], Tensor], fastest: Way = Way.PICKED
    ) -> Iterator[None]:
        """`settle` for what stands inside, and no longer."""
        before = self.way
        self.settle(purpose, scores, fastest)
        try:
            yield
        finally:
            self.way = before

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Inside, the weights stay as they are: what was tried out on them holds."""
        self.tried = NOTHING
        try:
            yield
        finally:
            self.tried = None

    def forward(self, inputs: dict[str, Tensor], positions: Tensor | None) -> Tensor:
        """Logits for a `Batch`'s `inputs` at its `positions`."""
        with self.arithmetic(self.net.training):
            return self._logits(inputs, positions)

    def arithmetic(self, training: bool) -> AbstractContextManager[None]:
        """Inside, the network's own passes are computed as `forward` computes them, in training or
        in eval mode."""
        narrow = (self.precision if training else self.scoring) == "bfloat16"
        return torch.autocast(self.net.device.type, torch.bfloat16, enabled=narrow)

    def _logits(self, inputs: dict[str, Tensor], positions: Tensor | None) -> Tensor:
        *examples, length = inputs["input_ids"].shape
        rows = {name: x.view(-1, length) for name, x in inputs.items()}
        if self.way is Way.ALONE:
            logits = self._one_by_one(rows, positions)
        elif positions is not None and self.picks:
            hidden = self.net.base_model(**self._read(rows), **self.options).last_hidden_state
            logits = self.net.get_output_embeddings()(_pick(hidden, positions))
        else:
            logits = self._own(rows)
            logits = logits if positions is None else _pick(logits, positions)
        return logits.view(examples[0], -1) if positions is None else logits

    def _own(self, rows: dict[str, Tensor]) -> Tensor:
        """The network's own logits."""
        logits: Tensor = self.net(**self._read(rows), **self.options).logits
        return logits

    def _one_by_one(self, rows: dict[str, Tensor], positions: Tensor | None) -> Tensor:
        found = []
        for i, length in enumerate(rows["attention_mask"].sum(1).tolist()):
            logits = self._own({name: x[i : i + 1, :length] for name, x in rows.items()})[0]
            found.append(
                logits if positions is None else logits[positions[i].clamp(max=length - 1)]
            )
        return torch.stack(found)

    def _read(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: x for name, x in inputs.items() if name not in self.unread}

    def after_prompt(self, ids: Tensor, lengths: Tensor, words: Tensor, front: Tensor) -> Tensor:
        """Log-likelihoods [n, L, A] of word tokens `words` [n, L, A] behind prompts `ids` [n, T]
        of `lengths` [n], before each of which `front` [F] stands. The front's keys and values are
        computed once, a prompt's once for all L words. For scores alone."""
        with self.arithmetic(training=False):
            return self._after_prompt(ids, lengths, words, front)

    def _after_prompt(self, ids: Tensor, lengths: Tensor, words: Tensor, front: Tensor) -> Tensor:
        n, labels, width = words.shape
        head = self.net.get_output_embeddings()
        before = {"past_key_values": self._read_once(front, n)} if len(front) else {}
        out = self.net.base_model(input_ids=ids, use_cache=True, **before)
        first = head(_pick(out.last_hidden_state, lengths[:, None] - 1)).float().log_softmax(-1)
        scores = [first.expand(n, labels, -1).gather(2, _clean(words[..., :1]))]
        if width > 1:
            cache = out.past_key_values
            cache.batch_repeat_interleave(labels)
            inner = _clean(words[..., :-1]).flatten(0, 1)
            lengths = lengths + len(front)
            steps = torch.arange(len(front) + ids.shape[1], device=ids.device)
            prompt_mask = (steps < lengths[:, None]).repeat_interleave(labels, 0)
            mask = torch.cat([prompt_mask, prompt_mask.new_ones(inner.shape)], 1).long()
            offsets = torch.arange(width - 1, device=ids.device)
            hidden = self.net.base_model(
                input_ids=inner,
                attention_mask=mask,
                position_ids=lengths.repeat_interleave(labels)[:, None] + offsets,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            rest = head(hidden).float().log_softmax(-1).view(n, labels, width - 1, -1)
            scores.append(rest.gather(3, _clean(words[..., 1:])[..., None])[..., 0])
        return torch.cat(scores, 2).masked_fill_(words == IGNORE, 0.0)

    def _read_once(self, front: Tensor, rows: int) -> Any:
        """The keys and values of tokens that stand before each of so many rows."""
        cache = self.net.base_model(input_ids=front[None], use_cache=True).past_key_values
        cache.batch_repeat_interleave(rows)
        return cache


def example_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Loss of each example, [n], in nats: summed over its answer tokens (one label on a head; the
    squared error where the targets are scores)."""
    logits = model(batch.inputs, batch.positions).float()
    targets = batch.targets.to(logits.device)
    if targets.is_floating_point():
        errors: Tensor = (logits[:, 0] - targets).square()
        return errors
    losses = _token_losses(logits.flatten(0, -2), targets.flatten())
    return losses.view(len(batch), -1).sum(1)


def _token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Loss of each token, [N] nats, by logits [N, V]. Where nobody learns from them a part is
    taken at a time, for log-likelihoods of the whole vocabulary are as large as the logits."""
    size = len(logits) if logits.requires_grad else max(1, _LOSS_LOGITS // logits.shape[-1])
    parts = zip(torch.split(logits, size), torch.split(targets, size), strict=True)
    found = [cross_entropy(x, y, ignore_index=IGNORE, reduction="none") for x, y in parts]
    return found[0] if len(found) == 1 else torch.cat(found)


@contextmanager
def settled_on(
    model: TaskModel, encoded: Encoded, pad: int, device: torch.device
) -> Iterator[None]:
    """Inside, `answer_scores` of these rows go the fastest way on which the weights as they are now
    give rows from the shortest to the longest the scores of the slowest. While they stay
    `unchanged`, what lies within rows that were tried out is not tried again."""
    probe, before = unlike(encoded), model.way

    def scores() -> Tensor:
        return answer_scores(model, encoded, probe, pad, device, worth=0)

    # a window would be filled with the padding of prompts
    shares = longest(encoded) < attention_window(model.net.config)
    fastest = Way.SHARED if shares else Way.PICKED
    sizes = [encoded.length(i) for i in probe]
    words = [len(word) for i in probe for word in encoded.answers[i]] if encoded.answers else [0]
    here = Tried(min(sizes), max(sizes), max(words), len(encoded.front), fastest)
    if model.tried is not None and model.tried.holds_for(here):
        model.way = min(model.tried.way, fastest)
    else:
        model.settle("score", scores, fastest)
        if model.tried is not None:
            model.tried = model.tried.and_for(here._replace(way=model.way))
    try:
        yield
    finally:
        model.way = before


def answer_scores(
    model: TaskModel,
    encoded: Encoded,
    indices: Sequence[int],
    pad: int,
    device: torch.device,
    worth: int = _REUSE_TOKENS,
) -> Tensor:
    """Score of every answer for the given examples, [n, L] float32: its log-likelihood, summed over
    its tokens, on a causal LM, the head's logits on an encoder. Prompts, and what stands before all
    of them, are shared where that saves `worth` tokens or more."""
    if not encoded.answers:
        batch = collate(encoded, indices, pad).to(device)
        logits: Tensor = model(batch.inputs, None)
        return logits.float()
    answers = [encoded.answers[i] for i in indices]
    labels = len(answers[0])
    front = len(encoded.front)
    prompts = [encoded.prompts[i][front:] for i in indices]
    saved = (labels - 1) * sum(map(len, prompts)) + (labels * len(prompts) - 1) * front
    if model.way is Way.SHARED and saved >= worth:
        batch = answer_batch([(prompt, [0]) for prompt in prompts], pad).to(device)
        words = answer_batch([([0], word) for row in answers for word in row], pad).to(device)
        assert batch.positions is not None, "answers have places"
        likelihoods = model.after_prompt(
            batch.inputs["input_ids"],
            batch.positions[:, 0] + 1,
            words.targets.view(len(answers), labels, -1),
            torch.tensor(encoded.front, dtype=torch.long, device=device),
        )
        return likelihoods.sum(2)
    pairs = [(encoded.prompts[i], word) for i in indices for word in encoded.answers[i]]
    losses = example_losses(model, answer_batch(pairs, pad).to(device))
    return -losses.view(-1, labels)


def unlike(encoded: Encoded) -> list[int]:
    """The shortest and the longest example, of many six between, and that with the longest answer:
    with answers of a single token nothing is read behind a shared prompt."""
    order = sorted(range(len(encoded)), key=encoded.length)
    parts = 7 if len(encoded) > _FEW else 1
    chosen = {order[(len(order) - 1) * part // parts] for part in range(parts + 1)}
    if encoded.answers:
        chosen.add(max(order, key=lambda i: max(map(len, encoded.answers[i]))))
    return sorted(chosen)


def longest(encoded: Encoded) -> int:
    """Tokens of the longest prompt with its longest answer."""
    answers = encoded.answers or [[[]]] * len(encoded)
    return max(encoded.prompt_length(i) + max(map(len, a)) for i, a in enumerate(answers))


def _pick(values: Tensor, positions: Tensor) -> Tensor:
    """[n, T, D] and [n, A] -> [n, A, D]."""
    return values.gather(1, positions[..., None].expand(-1, -1, values.shape[-1]))


def _clean(tokens: Tensor) -> Tensor:
    return tokens.clamp(min=0)


def _gives(expected: Tensor, compute: Callable[[], Tensor], kind: torch.dtype) -> bool:
    """Whether `compute` gives `expected`, but for rounding of weights or passes of this `kind`;
    where it fails it does not."""
    rtol, atol = (2e-5, 2e-4) if kind == torch.float32 else (2e-2, 0.1)
    try:
        return torch.allclose(compute(), expected, rtol=rtol, atol=atol, equal_nan=True)
    except Exception:  # whatever an architecture makes of padding, or of a cache
        return False
