"""How a task reads a model: logits where answers are predicted, and the likelihood of words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.network.batches import IGNORE, Batch, Encoded, answer_batch, collate

_REUSE_TOKENS = 256  # prompt tokens saved per batch from which a second forward pass pays


class TaskModel(nn.Module):
    """A network behind one call: a batch's logits, [n, A, V] for answer tokens, [n, L] for a head
    (of one output, which each of L choices gets, where an example has an input for each).

    The vocabulary's logits are only computed where an answer token is predicted, by applying the
    output embedding to those hidden states. Some architectures scale or cap their logits after
    that; a trial on random tokens finds them, and they are run whole.

    With `precision` bfloat16 its training passes are autocast to that; the weights are not, and
    in eval mode everything is float32.
    """

    def __init__(self, net: Any, precision: str = "float32") -> None:
        super().__init__()
        self.net, self.precision = net, precision
        caches = "use_cache" in inspect.signature(net.forward).parameters
        self.options = {"use_cache": False} if caches else {}
        self.picks = self.reuses = False
        if _is_causal(net):
            with torch.random.fork_rng():
                self._try_shortcuts()

    def forward(self, inputs: dict[str, Tensor], positions: Tensor | None) -> Tensor:
        """Logits for a `Batch`'s `inputs` at its `positions`."""
        narrow = self.net.training and self.precision == "bfloat16"
        with torch.autocast(self.net.device.type, torch.bfloat16, enabled=narrow):
            return self._logits(inputs, positions)

    def _logits(self, inputs: dict[str, Tensor], positions: Tensor | None) -> Tensor:
        if positions is None:
            *examples, length = inputs["input_ids"].shape
            rows = {name: x.view(-1, length) for name, x in inputs.items()}
            logits: Tensor = self.net(**rows).logits
            return logits.view(examples[0], -1)
        if not self.picks:
            logits = self.net(**inputs, **self.options).logits
            return _pick(logits, positions)
        return self._picked(inputs, positions)

    def _picked(self, inputs: dict[str, Tensor], positions: Tensor) -> Tensor:
        hidden = self.net.base_model(**inputs, **self.options).last_hidden_state
        logits: Tensor = self.net.get_output_embeddings()(_pick(hidden, positions))
        return logits

    def after_prompt(self, ids: Tensor, lengths: Tensor, words: Tensor) -> Tensor:
        """Log-likelihoods [n, L, A] of word tokens `words` [n, L, A] behind prompts `ids` [n, T]
        of `lengths` [n], the prompt's keys and values computed once for all L words."""
        n, labels, width = words.shape
        head = self.net.get_output_embeddings()
        out = self.net.base_model(input_ids=ids, use_cache=True)
        first = head(_pick(out.last_hidden_state, lengths[:, None] - 1)).float().log_softmax(-1)
        scores = [first.expand(n, labels, -1).gather(2, _clean(words[..., :1]))]
        if width > 1:
            cache = out.past_key_values
            cache.batch_repeat_interleave(labels)
            inner = _clean(words[..., :-1]).flatten(0, 1)
            steps = torch.arange(ids.shape[1], device=ids.device)
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

    @torch.inference_mode()
    def _try_shortcuts(self) -> None:
        """Take each shortcut only if it gives the network's own logits."""
        training = self.net.training
        self.net.eval()
        ids = torch.randint(0, self.net.config.vocab_size, (2, 6), device=self.net.device)
        expected = self.net(input_ids=ids, **self.options).logits.float()
        everywhere = torch.arange(6, device=ids.device).expand(2, -1)
        self.picks = _gives(expected, lambda: self._picked({"input_ids": ids}, everywhere))
        # prompts of 3 and 2 tokens, the two tokens behind each as its word, and that word twice
        lengths = torch.tensor([3, 2], device=ids.device)
        words = torch.stack([ids[0, 3:5], ids[1, 2:4]])[:, None].expand(2, 2, 2)
        row = torch.arange(2, device=ids.device)[:, None, None]
        places = (lengths[:, None] - 1 + torch.arange(2, device=ids.device))[:, None]
        wanted = expected.log_softmax(-1)[row, places, words]
        self.reuses = self.picks and _gives(
            wanted, lambda: self.after_prompt(ids[:, :3], lengths, words)
        )
        self.net.train(training)


def example_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Loss of each example, [n], in nats: summed over its answer tokens (one label on a head; the
    squared error where the targets are scores)."""
    logits = model(batch.inputs, batch.positions).float()
    targets = batch.targets.to(logits.device)
    if targets.is_floating_point():
        errors: Tensor = (logits[:, 0] - targets).square()
        return errors
    losses = cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORE, reduction="none"
    )
    return losses.view(len(batch), -1).sum(1)


def answer_scores(
    model: TaskModel, encoded: Encoded, indices: Sequence[int], pad: int, device: torch.device
) -> Tensor:
    """Score of every answer for the given examples, [n, L] float32: its log-likelihood, summed over
    its tokens, on a causal LM, the head's logits on an encoder."""
    if not encoded.answers:
        batch = collate(encoded, indices, pad).to(device)
        logits: Tensor = model(batch.inputs, None)
        return logits.float()
    answers = [encoded.answers[i] for i in indices]
    labels = len(answers[0])
    prompt_tokens = sum(len(encoded.prompts[i]) for i in indices)
    if model.reuses and (labels - 1) * prompt_tokens >= _REUSE_TOKENS:
        prompts = answer_batch([(encoded.prompts[i], [0]) for i in indices], pad).to(device)
        words = answer_batch([([0], word) for row in answers for word in row], pad).to(device)
        assert prompts.positions is not None, "answers have places"
        starts = prompts.inputs["input_ids"], prompts.positions[:, 0] + 1
        likelihoods = model.after_prompt(*starts, words.targets.view(len(answers), labels, -1))
        return likelihoods.sum(2)
    pairs = [(encoded.prompts[i], word) for i in indices for word in encoded.answers[i]]
    losses = example_losses(model, answer_batch(pairs, pad).to(device))
    return -losses.view(-1, labels)


def _is_causal(net: Any) -> bool:
    return net.get_output_embeddings() is not None


def _pick(values: Tensor, positions: Tensor) -> Tensor:
    """[n, T, D] and [n, A] -> [n, A, D]."""
    return values.gather(1, positions[..., None].expand(-1, -1, values.shape[-1]))


def _clean(tokens: Tensor) -> Tensor:
    return tokens.clamp(min=0)


def _gives(expected: Tensor, compute: Callable[[], Tensor]) -> bool:
    """Whether `compute` gives `expected`; architectures that lack a part it uses do not."""
    try:
        return torch.allclose(compute().float(), expected, rtol=1e-3, atol=1e-3)
    except (AttributeError, TypeError, NotImplementedError):
        return False
