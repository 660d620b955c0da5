"""Leaves, statements and receipts of SPEC.md §17 to §19, written from SPEC.md alone."""

import hmac
import json
import re
from base64 import b64decode, b64encode
from datetime import datetime
from hashlib import sha256

from group import L, decode, ed25519_verifies
from protocol import (
    FRAME_SIZES,
    Exchange,
    Refused,
    blind,
    canonical,
    check_item,
    check_name,
    finalize,
    hash_to_group,
    leaf,
    lp2,
    mth,
    no_number,
    okm,
    open_note,
    read_manifest,
    require,
    tag,
    u32,
    u64,
)

# Members (§18.1)


def data(*lengths):
    """A check of byte strings: padded base64, one spelling only; 0 stands for the empty text."""

    def check(text):
        value = b64decode(text, validate=True)
        return b64encode(value).decode() == text and len(value) in lengths

    return check


def number(value):
    return type(value) is int and 0 <= value < 2**53


def counted(value):
    return type(value) is int and 1 <= value < 2**32


def time(step=1):
    def check(text):
        found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
        seconds = found.hour * 3600 + found.minute * 60 + found.second
        return found.strftime("%Y-%m-%dT%H:%M:%SZ") == text and found.year >= 1970 and seconds % step == 0

    return check


def date(text):
    found = datetime.strptime(text, "%Y-%m-%d")
    return found.strftime("%Y-%m-%d") == text and found.year >= 1970


def matches(pattern):
    return lambda text: re.fullmatch(pattern, text, re.ASCII) is not None


def name(of):
    def check(text):
        check_name(of, text)
        return True

    return check


def view(value):
    return sorted(value) == ["root", "size"] and HASH(value["root"]) and number(value["size"]) and value["size"] > 0


def counts(pattern):
    def check(value):
        return isinstance(value, dict) and all(matches(pattern)(key) and number(n) for key, n in value.items())

    return check


def ascending(value):
    return all(map(number, value)) and value == sorted(set(value)) and len(value) > 0


def item(text):
    found = b64decode(text, validate=True)
    check_item(found)
    return b64encode(found).decode() == text


def vkey(text):
    """Name, type and key of a verifier key of a signer or a witness (§17.2)."""
    named, key_id, typed = text.split("+", 2)
    value = b64decode(typed, validate=True)
    found = sha256(named.encode() + b"\n" + value).digest()[:4].hex()
    require(found == key_id and value[0] in (1, 4) and len(value) == 33, "BAD_LEAF")
    require(re.fullmatch(r"[!-*,-~]{1,255}", named) is not None and b64encode(value).decode() == typed, "BAD_LEAF")
    return named, value[0], value[1:]


HASH, BATCH, MINUTE, HOUR, DAY = data(32), data(16), time(60), time(3600), time(86400)
AGENCY, PLATFORM, LIST = name("agency"), name("platform"), name("list")
CODE, WORD = "[A-Z_]{1,32}", "[a-z0-9-]{1,32}"
HALF = r"(19[7-9]\d|[2-9]\d{3})h[12](\.([2-9]|[1-9]\d+))?"
NAME = r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?"
ORIGIN = f"{NAME}/veilmatch/(manifest|query/{HALF}|match/{NAME}/{HALF})"
MATCH_LOG = f"{NAME}/veilmatch/match/{NAME}/{HALF}"
ROLES = ["manifest-log", "query-log", "ack", "witness", "request", "match-log", "receipt"]
VERSION = {"list": LIST, "epoch": counted, "version": counted}

LEAVES = {
    "key": {
        "role": ROLES.__contains__,
        "key": vkey,
        "old": lambda text: text == "" or vkey(text),
        "cross": data(0, 64),
        "previous": lambda text: text == "" or matches(ORIGIN)(text),
        "lost_from": number,
        "lost_to": number,
        "t": time(),
    },
    "withdraw": {"agency": AGENCY, **VERSION, "tag": data(0, 16), "reason": matches(CODE), "deadline": time(), "t": time()},
    "absent": {"agency": AGENCY, **VERSION, "item": item, "evaluated": HASH, "proof": data(64), "t": time()},
    "query": {
        "platform": PLATFORM,
        **VERSION,
        "view": view,
        "batch": BATCH,
        "n": FRAME_SIZES.__contains__,
        "req": HASH,
        "resp": data(0, 32),
        "req_sig": data(64),
        "minute": number,
        "status": ["ok", "refused"].__contains__,
        "code": matches(f"({CODE})?"),
        "t": MINUTE,
    },
    "adopt": {"agency": AGENCY, **VERSION, "manifest": HASH, "view": view, "t": time()},
    "frame": {
        "list": LIST,
        "epoch": counted,
        "batch": BATCH,
        "n": FRAME_SIZES.__contains__,
        "req": HASH,
        "status": ["answered", "refused", "abandoned"].__contains__,
        "code": matches(f"({CODE})?"),
        "resp": data(0, 32),
        "ack": data(0, 32),
        "t": HOUR,
    },
    "match": {"batch": BATCH, "c": HASH, "t": DAY},
    "action": {"log": matches(MATCH_LOG), "index": number, "c": HASH, "t": DAY},
    "day": {
        "list": LIST,
        "date": date,
        "offered": number,
        "queried": number,
        "not_checked": counts(CODE),
        "frames": number,
        "matches": number,
        "receipts": number,
        "actions": counts(WORD),
    },
    "close": {"agency": AGENCY, "platform": PLATFORM, "list": LIST, "epoch": counted, "date": date, "digest": HASH, "t": time()},
    "erase": {"log": matches(MATCH_LOG), "indices": ascending, "basis": matches(WORD), "t": DAY},
    "pad": {},
}


def fits_together(kind, members):
    """Members of which one decides on another."""
    if kind == "query":
        answered = members["status"] == "ok"
        known = not answered or members["epoch"] <= members["version"]
        return (members["code"] == "") == (members["resp"] != "") == answered and known
    if kind == "frame":
        answered = members["status"] == "answered"
        digests = (members["resp"] != "") == (members["ack"] != "") == answered
        return digests and (members["code"] != "") == (members["status"] == "refused")
    if kind == "key":
        keys = [vkey(members[at]) for at in ("key", "old") if members[at]]
        witness = all((typed == 4) == (members["role"] == "witness") for _, typed, _ in keys)
        lost = members["lost_from"] <= members["lost_to"] and (members["previous"] != "" or members["lost_to"] == 0)
        changed = len(keys) == 1 or keys[0][2] != keys[1][2]
        return witness and lost and changed and (members["old"] == "") == (members["cross"] == "")
    return "version" not in members or members["epoch"] <= members["version"]


def parsed(text, reason):
    try:
        members = json.loads(text, parse_float=no_number, parse_constant=no_number)
        require(isinstance(members, dict) and canonical(members) == text.encode(), reason)
    except ValueError:
        raise Refused(reason) from None
    return members


def checked(members, checks, reason):
    """Every member is there, and each fits."""
    try:
        require(sorted(members) == sorted(checks), reason)
        require(all(check(members[at]) for at, check in checks.items()), reason)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, Refused):
        raise Refused(reason) from None


def read_leaf(text):
    """Type and members of a leaf (§18)."""
    require(0 < len(text.encode()) <= 16384, "BAD_LEAF")
    members = parsed(text, "BAD_LEAF")
    prefix, _, rest = str(members.get("type")).partition("/")
    kind, _, version = rest.partition("/")
    require(prefix == "veilmatch" and version == "v1", "BAD_LEAF")
    if kind == "manifest":
        return kind, manifest_of(text, members)
    require(kind in LEAVES, "BAD_LEAF")
    checked(members, LEAVES[kind] | {"nonce": BATCH, "type": bool}, "BAD_LEAF")
    require(fits_together(kind, members), "BAD_LEAF")
    return kind, members


def manifest_of(text, members):
    named = f"{members['agency']}/veilmatch/manifest"
    typed = bytes([1] + 32 * [0])
    key_id = sha256(named.encode() + b"\n" + typed).digest()[:4].hex()
    return read_manifest(text + "\n", f"{named}+{key_id}+{b64encode(typed).decode()}")[0]


# What leaves show (§18.2, §18.3)


def key_change_holds(members):
    fields = ("veilmatch/v1/key-change", members["role"], members["key"], members["t"])
    message = lp2(*(field.encode() for field in fields))
    return ed25519_verifies(vkey(members["old"])[2], message, b64decode(members["cross"]))


def request_signature_holds(members, key):
    seen = u64(members["view"]["size"]) + b64decode(members["view"]["root"])
    fields = (b64decode(members["req"]), seen, u32(members["version"]), u64(members["minute"]))
    message = lp2(b"veilmatch/v1/request-signature", *fields)
    return ed25519_verifies(key, message, b64decode(members["req_sig"]))


def absent_tag(members, key):
    named, listed, epoch = members["agency"], members["list"], members["epoch"]
    asked, evaluated = b64decode(members["item"]), b64decode(members["evaluated"])
    element = hash_to_group(asked).encode()
    frame = Exchange(
        f"{named}/veilmatch/manifest", listed, epoch, named, bytes(16), key, element, evaluated, b64decode(members["proof"])
    )
    frame.verify()
    return tag(okm(listed, epoch, finalize(asked, decode(evaluated)))[:32])


# Notes (§18.2, §18.4, §18.6, §19.2)


def opened(note, key, reason):
    try:
        return open_note(note.encode(), key)
    except Refused:
        raise Refused(reason) from None


def second_line(text, first, reason):
    lines = text.split("\n")
    require(len(lines) == 3 and lines[0] == first and lines[2] == "", reason)
    return parsed(lines[1], reason)


CERTIFICATE = {
    "agency": AGENCY,
    **VERSION,
    "root": HASH,
    "key": HASH,
    "scope": ["attested", "sampled", "recomputed"].__contains__,
    "number": number,
    "t": time(),
}


def read_certificate(note, key):
    members = second_line(opened(note, key, "BAD_LEAF"), "veilmatch/cert/v1", "BAD_LEAF")
    checked(members, CERTIFICATE, "BAD_LEAF")
    require(members["epoch"] <= members["version"], "BAD_LEAF")


def check_acknowledgement(note, key, text):
    reason = "BAD_ACKNOWLEDGEMENT"
    kind, said = read_leaf(text)
    lines = opened(note, key, reason).split("\n")
    require(len(note.encode()) <= 4096 and len(lines) == 7 and kind == "query", reason)
    first, origin, index, leaf_hash, batch, t, _ = lines
    agency, _, log = origin.partition("/")
    half = "h1" if said["t"][5:7] < "07" else "h2"
    require(first == "veilmatch/ack/v1" and f"{agency}/veilmatch/ack" == key.split("+")[0], reason)
    require(matches(ORIGIN)(origin) and log.startswith(f"veilmatch/query/{said['t'][:4]}{half}"), reason)
    require(re.fullmatch("0|[1-9][0-9]*", index) is not None and int(index) < 2**53, reason)
    require(leaf_hash == b64encode(leaf(text.encode())).decode(), reason)
    require(batch == said["batch"] and t == said["t"], reason)


CLOSING = {
    "agency": AGENCY,
    "platform": PLATFORM,
    "list": LIST,
    "epoch": counted,
    "date": date,
    "frames": number,
    "elements": number,
    "tree": HASH,
}


def read_closing(note, receipt_key, ack_key):
    reason = "BAD_CLOSING"
    text = opened(note, receipt_key, reason)
    members = second_line(text, "veilmatch/close/v1", reason)
    checked(members, CLOSING, reason)
    require(f"{members['platform']}/veilmatch/receipt" == receipt_key.split("+")[0], reason)
    require(f"{members['agency']}/veilmatch/ack" == ack_key.split("+")[0], reason)
    opened(note, ack_key, reason)
    return members, sha256(text.encode()).digest()


def closing_tree(frames):
    return mth([leaf(req + resp) for req, resp in sorted(frames)])


# Inclusion, canaries (§18.7)


def led_to(hashed, index, size, path):
    """The root that a path leads to, or nothing (RFC 9162, Section 2.1.3.2)."""
    if index >= size:
        return None
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if node % 2 or node == last:
            hashed = sha256(b"\1" + sibling + hashed).digest()
            while node % 2 == 0 and node:
                node, last = node // 2, last // 2
        else:
            hashed = sha256(b"\1" + hashed + sibling).digest()
        node, last = node // 2, last // 2
    return hashed if last == 0 else None


def hashes(most):
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(HASH, value))


CANARY = {"deadline": number, "salt": HASH, "tag": BATCH, "index": number, "size": number, "path": hashes(63)}


def commitment_of(deadline, salt, listed):
    return sha256(b"veilmatch/v1/canary" + salt + listed + u64(deadline)).digest()


def check_canary(text, root):
    members = parsed(text, "BAD_OPENING")
    checked(members, CANARY | {"type": "veilmatch/canary/v1".__eq__}, "BAD_OPENING")
    c = commitment_of(members["deadline"], b64decode(members["salt"]), b64decode(members["tag"]))
    path = [b64decode(sibling) for sibling in members["path"]]
    require(led_to(leaf(c), members["index"], members["size"], path) == root, "BAD_OPENING")
    return c


# Receipts (§19)

OPENING = {
    "log": matches(f"{NAME}/veilmatch/match/{NAME}/{HALF}"),
    "index": number,
    "salt": HASH,
    "receipt": lambda text: isinstance(text, str),
    "secret": data(0, 32),
    "form": ["mul", "add", ""].__contains__,
    "blind": data(0, 32),
    "element": data(0, 32),
    "path": hashes(12),
}
RECEIPT = {
    "agency": AGENCY,
    "platform": PLATFORM,
    **VERSION,
    "manifest": HASH,
    "batch": BATCH,
    "position": lambda value: number(value) and value < 4096,
    "tag": BATCH,
    "label": data(*range(65)),
    "matched": MINUTE,
    "object": matches("[A-Za-z0-9._-]{0,64}"),
    "bind": HASH,
}


def read_opening(text):
    members = parsed(text, "BAD_OPENING")
    checked(members, OPENING | {"type": "veilmatch/opening/v1".__eq__}, "BAD_OPENING")
    shown = members["form"] != ""
    require((members["blind"] != "") == (members["element"] != "") == shown, "BAD_OPENING")
    require(shown or members["path"] == [], "BAD_OPENING")
    r = int.from_bytes(b64decode(members["blind"]), "little")
    require(r < L and not (members["form"] == "mul" and r == 0), "BAD_OPENING")
    return members


def check_receipt(key, opening, match, frame, query, manifest_text, label, secret, item):
    """The steps of §19.4; level 2 where the item is known."""
    text = opened(opening["receipt"], key, "R01")
    said = second_line(text, "veilmatch/receipt/v1", "R01")
    checked(said, RECEIPT, "R01")
    require(said["epoch"] <= said["version"], "R01")
    require(f"{said['platform']}/veilmatch/receipt" == key.split("+")[0], "R01")

    unbound = {at: value for at, value in said.items() if at != "bind"}
    mac = hmac.digest(secret, b"veilmatch/receipt/v1\n" + canonical(unbound) + b"\n", "sha256")
    require(tag(secret) == b64decode(said["tag"]) and mac == b64decode(said["bind"]), "R02")

    manifest = read_leaf(manifest_text)[1]
    require(leaf(manifest_text.encode()) == b64decode(said["manifest"]), "M06")
    require(all(said[at] == manifest[at] for at in ("agency", "list", "epoch", "version")), "M06")
    require(len(b64decode(said["label"])) == manifest["artifact"]["label_bytes"], "M06")
    require(manifest["not_before"][:17] + "00Z" <= said["matched"] <= manifest["not_after"], "M06")

    committed = sha256(b"veilmatch/v1/commit" + b64decode(opening["salt"]) + opening["receipt"].encode()).digest()
    require(committed == b64decode(match["c"]) and match["batch"] == said["batch"], "R03")
    require(opening["log"].startswith(f"{said['platform']}/veilmatch/match/{said['agency']}/"), "R03")

    named = all(said[at] == frame[at] == query[at] for at in ("batch", "list", "epoch"))
    answered = frame["status"] == "answered" and query["status"] == "ok" and query["platform"] == said["platform"]
    equal = all(frame[at] == query[at] for at in ("req", "resp", "n"))
    require(named and answered and equal and said["position"] < query["n"], "R04")
    require(b64decode(said["label"]) == label, "R06")
    if item is not None:
        check_level_2(said, opening, query, item)


def check_level_2(said, opening, query, item):
    element = b64decode(opening["element"])
    path = [b64decode(sibling) for sibling in opening["path"]]
    root = led_to(leaf(element), said["position"], query["n"], path)
    require(root is not None, "R07")
    fields = [f"{said['agency']}/veilmatch/manifest".encode(), said["platform"].encode(), said["list"].encode()]
    fields += [u32(said["epoch"]), b64decode(said["batch"]), u32(query["n"]), root]
    require(sha256(lp2(b"veilmatch/v1/request", *fields)).digest() == b64decode(query["req"]), "R07")
    r = int.from_bytes(b64decode(opening["blind"]), "little")
    require(blind(opening["form"], r, item).encode() == element, "R07")
