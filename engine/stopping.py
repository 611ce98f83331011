"""When a sequence ends: EOS, stop ids, stop strings, lengths. Knows the tokenizer only as an incremental decoder."""

from collections.abc import Callable
from collections.abc import Sequence as Sequences

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from engine.sequence import Sequence


class StopChecker:
    """Extends sequences token by token and ends them at the first stop; what follows a stop is dropped."""

    def __init__(self, eos_token_ids: Sequences[int], tokenizer: Callable[[], Tokenizer]):
        self._eos = frozenset(eos_token_ids)
        self._tokenizer = tokenizer
        self._texts: dict[str, _Text] = {}

    def extend(self, sequence: Sequence, tokens: Sequences[int]) -> int:
        """Append tokens until one ends the sequence; returns how many were appended."""
        for count, token in enumerate(tokens, start=1):
            sequence.tokens.append(token)
            if self._ends(sequence, token):
                return count
        return len(tokens)

    def cut_text(self, sequence: Sequence, text: str) -> str:
        """The text before the stop string that ended the sequence, if one did."""
        self._texts.pop(sequence.request_id, None)
        reason = sequence.stop_reason
        return text[: text.rfind(reason)] if isinstance(reason, str) and reason in text else text

    def _ends(self, sequence: Sequence, token: int) -> bool:
        params = sequence.params
        allowed = sequence.num_output_tokens >= params.min_tokens
        if token in self._eos and not params.ignore_eos and allowed:
            sequence.finish_reason = "stop"
        elif token in (params.stop_token_ids or ()) and allowed:
            sequence.finish_reason, sequence.stop_reason = "stop", token
        elif params.stop and (match := self._stop_string(sequence, token)) and allowed:
            sequence.finish_reason, sequence.stop_reason = "stop", match
        elif len(sequence.tokens) >= sequence.max_len:
            sequence.finish_reason = "length"
        return sequence.finish_reason is not None

    def _stop_string(self, sequence: Sequence, token: int) -> str | None:
        text = self._texts.get(sequence.request_id)
        if text is None:
            text = self._texts[sequence.request_id] = _Text(self._tokenizer())
        return text.push(token, sequence.params.stop_strings)


class _Text:
    """The text so far of one sequence, decoded token by token, keeping only the tail a stop string could span."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._tail = ""

    def push(self, token: int, stops: Sequences[str]) -> str | None:
        """The stop string that this token completed, if any; the earliest in the text wins."""
        old = len(self._tail)
        text = self._tail + (self._stream.step(self._tokenizer, token) or "")
        found = [(place, stop) for stop in stops if (place := text.find(stop, max(0, old - len(stop) + 1))) >= 0]
        self._tail = text[-max(len(stop) for stop in stops) :]
        return min(found)[1] if found else None
