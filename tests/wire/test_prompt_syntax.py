"""Prompts as WebUI reads them."""

import pytest

from t2vz_core.wire.job import Frame, JobSpec, Lora, Prompt, PromptKey
from t2vz_core.wire.parse import WireError
from t2vz_core.wire.prompt_syntax import Span, read


def spans(text):
    """(words, weight) of a prompt's only part."""
    (part,) = read(text, "webui").parts
    return [(span.text, pytest.approx(span.weight)) for span in part]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (ball:1.2) here", [("a ", 1), ("ball", 1.2), (" here", 1)]),
        ("((ball))", [("ball", 1.21)]),
        ("[ball]", [("ball", 1 / 1.1)]),
        ("a (b [c] (d:2))", [("a ", 1), ("b ", 1.1), ("c", 1), (" ", 1.1), ("d", 2.2)]),
        (r"a \(b\) \[c\] \\", [(r"a (b) [c] " + "\\", 1)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a: 0.5 )", [("a", 0.5)]),
        ("(a:-.5)", [("a", -0.5)]),
        ("at 12:30", [("at 12:30", 1)]),
        ("", []),
    ],
)
def test_brackets_weigh_what_they_hold(text, expected):
    assert spans(text) == expected


def test_break_ends_a_part_and_keeps_the_weight_around_it():
    parts = read("a (b BREAK c:1.5), BREAKER", "webui").parts
    assert parts == (
        (Span("a "), Span("b", 1.5)),
        (Span("c", 1.5), Span(", BREAKER")),
    )


def test_loras_are_taken_out_of_the_words():
    reading = read("a ball<lora:ink wash:0.8> <lora:b>", "webui")
    assert reading.loras == (("ink wash", 0.8), ("b", 1.0))
    assert reading.parts == ((Span("a ball "),),)


def test_plain_prompts_are_words_alone():
    text = "a (ball:1.2] BREAK <lora:x:1>"
    assert read(text, "plain").parts == ((Span(text),),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a ((ball)", r"the \( of '\(\(ball\)' is never closed; add \)"),
        ("a ball)", r"the \) of 'a ball\)' closes nothing"),
        ("(a]", r"the \] of '\(a\]' closes nothing"),
        ("[red:blue:0.5] ball", "prompt keys"),
        ("[red|blue] ball", r"\[a\|b\]"),
        ("red AND blue", "AND"),
        ("<hypernet:x:1>", "only <lora"),
        ("<lora:x:much>", "needs one number"),
        ("<lora:x:0.5:0.7>", "needs one number"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence_with_the_field(text, sentence):
    spec = {"prompt": {"text": text, "syntax": "webui"}, "frames": [{}]}
    with pytest.raises(WireError, match=rf"^prompt\.text: .*{sentence}"):
        JobSpec.from_json(spec)


def test_a_lora_with_two_weights_gets_a_sentence():
    prompt = Prompt("<lora:x:1>", keys=(PromptKey(3, "<lora:x:0.5>"),), syntax="webui")
    with pytest.raises(WireError, match=r"prompt\.keys\[0\]\.text: the LoRA x has the weights"):
        JobSpec.from_json(JobSpec(prompt=prompt, frames=(Frame(),)).to_json())


def test_a_lora_in_the_negative_prompt_gets_a_sentence():
    spec = {"prompt": {"negative": "<lora:x:1>", "syntax": "webui"}, "frames": [{}]}
    with pytest.raises(WireError, match=r"^prompt\.negative: "):
        JobSpec.from_json(spec)


def test_loras_of_prompt_and_keys_count_once_each():
    prompt = Prompt("<lora:x:1>", keys=(PromptKey(3, "<lora:x:1><lora:y:2>"),), syntax="webui")
    assert prompt.loras() == (Lora("x", 1.0), Lora("y", 2.0))


def test_jobs_of_other_days_are_read_as_plain_words():
    assert (
        JobSpec.from_json({"prompt": {"text": "a :) ball"}, "frames": [{}]}).prompt.syntax
        == "plain"
    )
