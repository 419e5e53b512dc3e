"""No patient's name goes out: `tests/stress/privacy.py` without the slow commands."""

from __future__ import annotations

import base64
import gzip

from stress.privacy import sweep, words_in


def test_names_stand_where_they_must_and_nowhere_else(tmp_path):
    planted, outputs, wrong = sweep(tmp_path)
    assert wrong == []
    assert planted > 30
    assert outputs > 60


def test_a_word_is_found_however_it_is_packed():
    word = b"x zqsecretxw x"
    packed = [word, word.decode().encode("utf-16"), gzip.compress(word), base64.b64encode(b"12" + word)]
    assert [words_in(each) for each in packed] == [{"zqsecret"}] * 4
    assert words_in(b"data:," + base64.b64encode(gzip.compress(word))) == {"zqsecret"}
