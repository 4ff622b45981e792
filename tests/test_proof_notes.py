"""Are keys and signed notes those that other tools read, and is nothing else taken for one?"""

from datetime import UTC, datetime

import pytest

from support.sealed import KEY, OTHER_KEY
from trackledger.adapters.proof import heads
from trackledger.adapters.proof.heads import Trust
from trackledger.adapters.proof.notes import new_key, signer, signing_key, text_of, verifier_key
from trackledger.domain.errors import UsageError

# The example of the Go package golang.org/x/mod/sumdb/note, from which the format comes.
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = f"""{TEXT}
— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""


def test_the_published_example() -> None:
    key = signing_key(PRIVATE, "it")

    assert str(key.verifier) == PUBLIC
    assert key.line() == PRIVATE
    assert key.sign(TEXT) == NOTE
    assert text_of(NOTE) == TEXT
    assert signer(NOTE, [verifier_key(PUBLIC)]) == key.verifier


def test_a_new_key_is_another_one_each_time_and_comes_back_from_its_lines() -> None:
    one, other = new_key("tracking.shop"), new_key("tracking.shop")

    assert one.line() != other.line()
    assert signing_key(one.line(), "it").verifier == one.verifier == verifier_key(str(one.verifier))


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\n", "x" * 201])
def test_a_name_that_notes_do_not_allow_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="has to be 1 to 200 characters without blanks and \\+"):
        new_key(name)


def changed(line: str) -> list[str]:
    """A key with parts missing, changed, or of another."""
    shorter = [line[:length] for length in range(0, len(line), 7)]
    return [*shorter, line + "A", line.replace("c74f20a3", "c74f20a4"), line.replace("Peter", "Petra"), "é+00+AA"]


def test_what_is_no_key_is_refused_and_no_private_one_is_shown() -> None:
    for line in [*changed(PRIVATE), PUBLIC]:
        with pytest.raises(UsageError, match="it holds no signing key") as refused:
            signing_key(line, "it")
        assert "AYEKFALV" not in str(refused.value)
    for line in [*changed(PUBLIC), PRIVATE]:
        with pytest.raises(UsageError) as refused:
            verifier_key(line)
        assert "AYEKFALV" not in str(refused.value)
    assert PRIVATE not in repr(signing_key(PRIVATE, "it"))


def test_a_signature_counts_only_for_its_text_and_its_key() -> None:
    keys = [KEY.verifier]
    note = KEY.sign("one\n")
    forged = OTHER_KEY.sign("one\n")
    both = note + forged.rpartition("\n\n")[2]

    assert signer(note, keys) == KEY.verifier
    assert signer(both, keys) == KEY.verifier
    assert signer(both, [OTHER_KEY.verifier]) == OTHER_KEY.verifier
    assert signer(forged, keys) is None
    assert signer(note.replace("one", "two"), keys) is None
    assert signer(both.replace("one", "two"), keys) is None
    assert signer(note, []) is None


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        "text\n",
        "text\n\n",
        "text\n\nno signature\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "more\n",
        f"\n{NOTE[102:]}",
    ],
)
def test_what_is_no_signed_note_says_nothing(note: str) -> None:
    assert text_of(note) == ""
    assert signer(note, [verifier_key(PUBLIC)]) is None


AT = datetime(2026, 3, 6, 10, 30, tzinfo=UTC)
ROOT = bytes(range(32))


def test_a_head_comes_back_from_its_note() -> None:
    head = heads.sign("tracking.shop", 20, ROOT, AT, KEY)

    assert head.note.startswith(
        "tracking.shop\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00.000000Z\n\n— "
    )
    assert heads.read(head.note, "it") == head
    assert Trust((KEY.verifier,)).doubt(head) == ""
    assert Trust((KEY.verifier,), "elsewhere").doubt(head) == ""
    assert Trust((OTHER_KEY.verifier,)).doubt(head) == "is not signed by a key that is known here"


def test_a_ledger_may_have_another_name_than_its_key() -> None:
    head = heads.sign("elsewhere", 20, ROOT, AT, KEY)

    assert Trust((KEY.verifier,), "elsewhere").doubt(head) == ""
    assert Trust((KEY.verifier,)).doubt(head) == "is of another ledger, 'elsewhere'"


@pytest.mark.parametrize(
    "text",
    [
        "name\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00Z\n",
        "name\n020\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00Z\n",
        "name\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00Z\n",
        "name\n٢\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00Z\n",
        f"name\n{'9' * 5000}\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00Z\n",
        "name\n20\nAAEC\nsealed 2026-03-06T10:30:00Z\n",
        "name\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed 2026-03-06T10:30:00\n",
        "name\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nsealed yesterday\n",
        "name\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n2026-03-06T10:30:00Z\n",
    ],
)
def test_a_signed_text_that_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="it is no sealed head"):
        heads.read(KEY.sign(text), "it")
