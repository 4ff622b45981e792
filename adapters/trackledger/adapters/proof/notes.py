"""How is a text signed, and by whom? The signed notes of C2SP with Ed25519: https://c2sp.org/signed-note

A private key is one line, `PRIVATE+KEY+name+id+base64`, as other tools for signed notes write it; a verifier key, which
is public, is `name+id+base64`. The id is of the name and the key, so that neither is ever taken for another's.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from hashlib import sha256
from secrets import token_bytes

from msgspec import Struct

from trackledger.domain.errors import UsageError

ED25519 = b"\x01"
ID_BYTES = 4
KEY_BYTES = 32
SIGNATURE_BYTES = 64
NAME = re.compile(r"[^\s+]{1,200}")
MAX_SIGNATURES = 100

_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class VerifierKey(Struct, frozen=True):
    """Who may have signed: a name, the key's id, and the public key."""

    name: str
    id: bytes
    public: bytes

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(ED25519 + self.public).decode()}"


class SigningKey:
    """A private key, which shows itself to nobody."""

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.verifier = VerifierKey(name, key_id(name, public), public)

    def line(self) -> str:
        """The key itself, for those who are to keep it."""
        key = b64encode(ED25519 + self._seed).decode()
        return f"{_PRIVATE}{self.verifier.name}+{self.verifier.id.hex()}+{key}"

    def sign(self, text: str) -> str:
        """The signed note of a text, which ends with a line's end."""
        assert text.endswith("\n")
        signature = b64encode(self.verifier.id + self._private.sign(text.encode())).decode()
        return f"{text}\n— {self.verifier.name} {signature}\n"


def key_id(name: str, public: bytes) -> bytes:
    """The first bytes of a hash of the key and its name."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:ID_BYTES]


def new_key(name: str) -> SigningKey:
    """A key that nobody has. Raises `UsageError` for a name that signed notes do not allow."""
    if not NAME.fullmatch(name):
        raise UsageError(f"key name {name!r} has to be 1 to 200 characters without blanks and +, such as tracking.shop")
    return SigningKey(name, token_bytes(KEY_BYTES))


def signing_key(line: str, called: str) -> SigningKey:
    """The private key of a line, `called` so in the error. Raises `UsageError`, which does not repeat the line."""
    name, id_, seed = _parts(line.strip().removeprefix(_PRIVATE))
    if line.strip().startswith(_PRIVATE) and len(seed) == KEY_BYTES:
        key = SigningKey(name, seed)
        if key.verifier.id == id_:
            return key
    raise UsageError(f"{called} holds no signing key; make one with `trackledger seal --new-key NAME`")


def verifier_key(line: str, called: str = "verifier key") -> VerifierKey:
    """The verifier key of a line, `called` so in the error. Raises `UsageError`."""
    if line.strip().startswith(_PRIVATE):
        raise UsageError(f"{called} is a private key; give the verifier key, which begins with its name")
    name, id_, public = _parts(line.strip())
    if len(public) != KEY_BYTES or key_id(name, public) != id_:
        raise UsageError(f"{called} {line[:300]!r} is no verifier key; give name+id+base64 as it was handed to you")
    return VerifierKey(name, id_, public)


def _parts(line: str) -> tuple[str, bytes, bytes]:
    """Name, id and key; all empty for what is none."""
    # The key's base64 may hold a + too.
    name, _, rest = line.partition("+")
    id_, _, key = rest.partition("+")
    try:
        found = b64decode(key, validate=True)
        if NAME.fullmatch(name) and found[:1] == ED25519 and len(id_) == 2 * ID_BYTES:
            return name, bytes.fromhex(id_), found[1:]
    except (NotBase64, ValueError):
        pass
    return "", b"", b""


def text_of(note: str) -> str:
    """The text that a note signs, or the empty text for what is no signed note."""
    text, _, signatures = note.rpartition("\n\n")
    lines = signatures.splitlines()
    signed = 0 < len(lines) <= MAX_SIGNATURES and all(map(_SIGNATURE.fullmatch, lines))
    return f"{text}\n" if text and signed and signatures.endswith("\n") else ""


def signer(note: str, keys: Iterable[VerifierKey]) -> VerifierKey | None:
    """The first of these keys that signed a note; None where none did, or a signature by one is of another text."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text = text_of(note).encode()
    known = {(key.name, key.id): key for key in keys}
    found: VerifierKey | None = None
    for line in note.rpartition("\n\n")[2].splitlines() if text else ():
        match = _SIGNATURE.fullmatch(line)
        assert match is not None
        try:
            signature = b64decode(match[2], validate=True)
        except NotBase64:
            return None
        key = known.get((match[1], signature[:ID_BYTES]))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature[ID_BYTES:], text)
        except (InvalidSignature, ValueError):
            return None
        found = found or key
    return found
