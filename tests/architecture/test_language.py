"""Every text of the project follows the rules of its language."""

from __future__ import annotations

import ast

from tests.architecture.language import _docstrings, _in_python, _in_text, faults


def test_no_text_breaks_a_rule_of_the_language() -> None:
    found = faults()
    assert not found, "\n".join(str(fault) for fault in found[:50])


def test_a_question_as_docstring_is_found() -> None:
    tree = ast.parse('"""Which way do imports run?"""')
    assert [fault.rule for fault in _docstrings("x.py", tree)] == ["a docstring is a statement"]


def test_a_quoted_question_is_no_question() -> None:
    tree = ast.parse('"""Parse `a ? b : c` and the text "really?"."""')
    assert list(_docstrings("x.py", tree)) == []


def test_a_banned_phrase_is_found_in_names_comments_messages_and_documents() -> None:
    source = 'def test_nobody_waits():\n    # made anew\n    raise Error(f"{x} came off")\n'
    found = [fault.rule for fault in _in_python("tests/x.py", source)]
    assert found == ["banned: nobody", "banned: anew", "banned: come off"]
    assert [fault.line for fault in _in_text("x.md", "one\nit waits for ever\n")] == [2]
