"""Does a file of evidence prove that a shipment's events are in a sealed ledger?

    python check_evidence.py FILE --key KEY [--head FILE]

KEY is the verifier key of whoever sealed the ledger, `name+id+base64`, and has to come from them and not with the file.
--head is a head of the ledger that you kept before: then the file has to show that nothing up to there was changed.
Needs Python 3.9 or newer and nothing else. Exit code 0 when it is proven, 1 when it is not, 2 for a wrong request.

This is what the members of the file are, and how they are checked:

`head` is a signed note (https://c2sp.org/signed-note): a text, an empty line, and lines `— name signature`. A signature
is the Base64 of the key's 4-byte id and the Ed25519 signature (RFC 8032) of the text in UTF-8. The text has four lines:
the name of the ledger, the number of its events, the root of the Merkle tree over them in Base64, and when it was
sealed.

The tree is that of RFC 9162, 2.1, with SHA-256. Its leaf number `position - 1` is the event at that position of the
ledger: position, shipment id, version and topic, each with a line's end behind it, then the state, all in UTF-8.
`state` is what the ledger recorded, a JSON object. `proof` holds, in Base64, the hashes that lead from the leaf to the
root.

`earlier_head`, if it is there, is a head of the same ledger over fewer events, with the hashes that lead from its root
to that of `head`: the ledger then begins with what was sealed earlier.

It is proven that each of these events was recorded at its place, unchanged, when the head was sealed. It cannot be
proven that there are no later ones of the shipment: `not_sealed` is the number of those that were recorded since, as
the ledger said when it wrote the file.
"""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64decode
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

FORMAT = "trackledger evidence 1"
MAX_FILE = 1 << 28


class NotProven(Exception):
    """Why a file proves nothing, in one sentence."""


# Ed25519 signatures: RFC 8032, 5.1, after its appendix A

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
L = 2**252 + 27742317777372353535851937790883648493
Point = tuple[int, int, int, int]


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature of a message is by the owner of a public key."""
    if len(public) != 32 or len(signature) != 64:
        return False
    owner, commitment = _decompressed(public), _decompressed(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if owner is None or commitment is None or s >= L:
        return False
    challenge = int.from_bytes(sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = _times(s, BASE), _plus(commitment, _times(challenge, owner))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 == (left[1] * right[2] - right[1] * left[2]) % P


def _plus(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor: int, point: Point) -> Point:
    found = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            found = _plus(found, point)
        point = _plus(point, point)
        factor >>= 1
    return found


def _x(y: int, is_odd: int) -> int | None:
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if is_odd else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != is_odd else x


def _decompressed(point: bytes) -> Point | None:
    number = int.from_bytes(point, "little")
    y = number & ((1 << 255) - 1)
    x = _x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = _x(_BASE_Y, 0) or 0
BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


# the Merkle tree: RFC 9162, 2.1.1, 2.1.3.2 and 2.1.4.2


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: list[bytes]) -> bytes | None:
    """The root to which a proof leads from a leaf's hash; None where it does not fit."""
    here, last, found = index, size - 1, leaf
    for one in proof:
        if last == 0:
            return None
        if here & 1 or here == last:
            found = node_hash(one, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, one)
        here, last = here >> 1, last >> 1
    return found if last == 0 and 0 <= index < size else None


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    """Whether a proof shows that a tree of `new` leaves begins with that of `old` leaves."""
    if old == new:
        return not proof and old_root == new_root
    path = proof if old & (old - 1) else [old_root, *proof]
    if not 0 < old < new or not path:
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    from_old = from_new = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            from_old, from_new = node_hash(one, from_old), node_hash(one, from_new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            from_new = node_hash(from_new, one)
        here, last = here >> 1, last >> 1
    return last == 0 and from_old == old_root and from_new == new_root


# keys, heads and the file


def read_key(line: str) -> tuple[str, bytes, bytes]:
    """The name, id and public key of a verifier key."""
    name, _, rest = line.strip().partition("+")
    id_, _, key = rest.partition("+")
    try:
        decoded = b64decode(key, validate=True)
        given = bytes.fromhex(id_)
    except ValueError:
        decoded = given = b""
    own = sha256(name.encode("utf-8", "replace") + b"\n" + decoded).digest()[:4]
    if len(decoded) != 33 or decoded[0] != 1 or given != own:
        raise ValueError
    return name, own, decoded[1:]


class Head:
    """What a signed head says. Raises `NotProven` for one that is none, or is not signed by the key."""

    def __init__(self, note: Any, key: tuple[str, bytes, bytes], called: str) -> None:
        text, _, signatures = (note if isinstance(note, str) else "").rpartition("\n\n")
        name, id_, public = key
        signed = False
        for line in signatures.splitlines():
            dash, _, rest = line.partition(" ")
            by, _, encoded = rest.rpartition(" ")
            signature = decoded(encoded)
            if dash == "—" and by == name and signature[:4] == id_:
                if not is_signed(public, utf8(text + "\n", called), signature[4:]):
                    raise NotProven(f"{called} was changed: its signature by {name} is of another text")
                signed = True
        if not signed:
            raise NotProven(f"{called} is not signed by {name}")
        try:
            self.origin, size, root, self.sealed = text.split("\n")
            self.size = int(size)
        except ValueError:
            raise NotProven(f"{called} is no head of a ledger") from None
        self.root = decoded(root)
        self.text = text


def utf8(text: str, called: str) -> bytes:
    """The bytes that were hashed or signed; of a text that has none nothing can be proven."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NotProven(f"{called} holds characters that no recorded text holds") from None


def decoded(text: Any) -> bytes:
    """Base64, or nothing where it is none."""
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


def hashes(texts: Any, called: str) -> list[bytes]:
    """A list of hashes."""
    found = [decoded(text) for text in texts] if isinstance(texts, list) else [b""]
    if any(len(one) != 32 for one in found):
        raise NotProven(f"the proof of {called} is no list of hashes")
    return found


def check(evidence: Any, key: tuple[str, bytes, bytes], kept: Any = None) -> list[str]:
    """What is proven, a line each. `kept` is the text of a head that was kept before. Raises `NotProven`."""
    if not isinstance(evidence, dict) or evidence.get("format") != FORMAT:
        raise NotProven(f"the file is no {FORMAT}")
    head = Head(evidence.get("head"), key, "its head")
    lines = [f"ledger {head.origin}: {head.size} events, {head.sealed}, signed by {key[0]}"]
    if kept is not None:
        lines.append(_unchanged_since(evidence.get("earlier_head"), head, key, kept))
    shipment_id, events = evidence.get("shipment_id"), evidence.get("events")
    if not isinstance(shipment_id, str) or not isinstance(events, list) or not events:
        raise NotProven("the file names no shipment with events")
    lines.append(f"shipment {shipment_id}: {len(events)} events are in it, from the first on, none left out between")
    before = 0
    for version, event in enumerate(events, start=1):
        position, recorded = _included(event, version, shipment_id, head)
        if position <= before:
            raise NotProven(f"version {version} stands before the version before it")
        before = position
        lines.append(f"  position {position}, version {version}: {event['topic']}, recorded at {recorded}")
    return lines


def _included(event: Any, version: int, shipment_id: str, head: Head) -> tuple[int, str]:
    called = f"version {version} of {shipment_id}"
    if not isinstance(event, dict) or event.get("version") != version or isinstance(event["version"], bool):
        raise NotProven(f"{called} is not in its place in the file")
    position, topic, state = event.get("position"), event.get("topic"), event.get("state")
    if (
        not isinstance(position, int)
        or isinstance(position, bool)
        or not isinstance(topic, str)
        or not isinstance(state, str)
    ):
        raise NotProven(f"{called} lacks a position, a topic or a state")
    leaf = utf8(f"{position:d}\n{shipment_id}\n{version}\n{topic}\n{state}", called)
    proof = hashes(event.get("proof"), called)
    if root_by_inclusion(position - 1, head.size, sha256(b"\x00" + leaf).digest(), proof) != head.root:
        raise NotProven(
            f"{called} was not recorded like this at position {position}: its proof does not lead to the head"
        )
    try:
        return position, str(json.loads(state)["recorded_at"])
    except (ValueError, TypeError, KeyError):
        raise NotProven(f"{called} holds no event, although it is proven") from None


def _unchanged_since(said: Any, head: Head, key: tuple[str, bytes, bytes], kept: Any) -> str:
    earlier = Head(kept, key, "the head that you kept")
    if earlier.text != head.text:
        if not isinstance(said, dict) or said.get("head") != kept:
            raise NotProven("the file does not go back to the head that you kept; ask for one that does")
        proof = hashes(said.get("proof"), "the earlier head")
        if earlier.origin != head.origin or not is_consistent(earlier.size, earlier.root, head.size, head.root, proof):
            raise NotProven(
                "the ledger does not begin with what was sealed in the head that you kept: it was rewritten"
            )
    return f"its first {earlier.size} events are those of the head that you kept, {earlier.sealed}"


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s FILE --key KEY"
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--key", required=True, help="the verifier key, name+id+base64")
    parser.add_argument("--head", help="a file with a head that you kept")
    asked = parser.parse_args(arguments)
    try:
        key = read_key(asked.key)
    except ValueError:
        return _told(f"{asked.key!r} is no verifier key; give name+id+base64 as it was handed to you", 2)
    try:
        content, kept = _read(asked.file), _read(asked.head).decode("utf-8", "replace") if asked.head else None
    except (OSError, ValueError) as error:
        return _told(f"{error}; name a file that can be read", 2)
    try:
        lines = check(json.loads(content), key, kept)
    except NotProven as error:
        return _told(f"not proven: {error}", 1)
    except (ValueError, RecursionError):
        return _told("not proven: the file is not JSON, or it was cut off", 1)
    for line in lines:
        _write(sys.stdout, line)
    return 0


def _read(file: str) -> bytes:
    with Path(file).open("rb") as stream:
        content = stream.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise ValueError(f"{file} is larger than {MAX_FILE} bytes")
    return content


def _told(failure: str, code: int) -> int:
    _write(sys.stderr, f"check_evidence: {failure}")
    return code


def _write(stream: Any, line: str) -> None:
    # What a file says may hold characters that steer a terminal.
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
    stream.write(shown.encode(stream.encoding or "ascii", "backslashreplace").decode(stream.encoding or "ascii") + "\n")


if __name__ == "__main__":
    sys.exit(main())
