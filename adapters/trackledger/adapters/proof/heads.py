"""What does a sealed head say, in the form of checkpoints of transparency logs? https://c2sp.org/tlog-checkpoint"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from trackledger.adapters.proof.notes import SigningKey, VerifierKey, signer, signing_key, text_of, verifier_key
from trackledger.adapters.settings import Proof
from trackledger.domain.errors import UsageError
from trackledger.domain.merkle import HASH_BYTES

MAX_NOTE = 64 * 1024

_SEALED = "sealed "


class Head(Struct, frozen=True):
    """That the first `size` events of the ledger `origin` had this root at `sealed_at`, as the signed `note` says."""

    origin: str
    size: int
    root: bytes
    sealed_at: datetime
    note: str

    @property
    def stated_at(self) -> str:
        """When it was sealed, as the note says it."""
        return _stated(self.sealed_at)


def sign(origin: str, size: int, root: bytes, sealed_at: datetime, key: SigningKey) -> Head:
    """A head, signed."""
    at = sealed_at.astimezone(UTC)
    root_said = b64encode(root).decode()
    note = key.sign(f"{origin}\n{size}\n{root_said}\n{_SEALED}{_stated(at)}\n")
    return Head(origin, size, root, at, note)


def _stated(at: datetime) -> str:
    return at.isoformat("T", "microseconds").removesuffix("+00:00") + "Z"


def read(note: str, called: str) -> Head:
    """What a signed note says, whoever signed it. Raises `UsageError` for one that is no head, `called` so."""
    lines = text_of(note).splitlines()
    try:
        origin, size, root_said, sealed = lines
        root = b64decode(root_said, validate=True)
        number = int(size)
        sealed_at = datetime.fromisoformat(sealed.removeprefix(_SEALED))
        well_formed = (
            bool(origin)
            and number >= 0
            and size == str(number)
            and len(root) == HASH_BYTES
            and sealed.startswith(_SEALED)
            and sealed_at.tzinfo is not None
        )
    except (ValueError, NotBase64):
        well_formed = False
    if not well_formed:
        raise UsageError(f"{called} is no sealed head; give one as `trackledger seal --out FILE` writes it")
    return Head(origin, number, root, sealed_at.astimezone(UTC), note)


def read_file(file: str) -> Head:
    """The head that was kept in a file. Raises `UsageError`."""
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(MAX_NOTE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{file} cannot be read: {why}; name a file with a sealed head") from None
    try:
        note = content.decode()
    except UnicodeDecodeError:
        note = ""
    return read(note if len(content) <= MAX_NOTE else "", file)


class Trust(Struct, frozen=True):
    """Whose heads are believed: those signed by one of `keys` for the ledger `origin`, or for the one called like the
    key."""

    keys: tuple[VerifierKey, ...]
    origin: str = ""

    def doubt(self, head: Head) -> str:
        """Why a head is not to be believed, as the rest of a sentence about it; empty where it is."""
        by = signer(head.note, self.keys)
        if by is None:
            return "is not signed by a key that is known here"
        if head.origin not in (self.origin, by.name):
            return f"is of another ledger, {head.origin!r}"
        return ""


def trust(proof: Proof, more: Iterable[VerifierKey] = ()) -> Trust:
    """The configured trust, and `more` keys. Raises `UsageError` for keys that are none."""
    keys = [verifier_key(line, "one of verifier_keys in [proof]:") for line in proof.verifier_keys]
    if proof.key:
        keys.append(signing_key(proof.key, f"the environment variable {proof.key_env}").verifier)
    return Trust((*keys, *more), proof.origin)
