"""The computations of SPEC.md, written from SPEC.md alone, with nothing but Python's standard library."""

import json
import re
from base64 import b64decode, b64encode
from datetime import datetime, timezone
from hashlib import sha256, sha512
from unicodedata import category

from group import GENERATOR, L, decode, ed25519_verifies, one_way_map, scalar

KINDS = {1: ("md5", 16), 2: ("sha1", 20), 3: ("sha256", 32), 4: ("sha512", 64)}
FRAME_SIZES = (1, 4, 16, 256, 1024, 4096)


class Refused(Exception):
    """Carries the stable name of the reason (SPEC §10)."""


def require(condition, reason):
    if not condition:
        raise Refused(reason)


# §1.2


def u16(n):
    return n.to_bytes(2, "big")


def u32(n):
    return n.to_bytes(4, "big")


def u64(n):
    return n.to_bytes(8, "big")


def lp2(*fields):
    return b"".join(u16(len(field)) + field for field in fields)


def lp8(*fields):
    return b"".join(u64(len(field)) + field for field in fields)


def leaf(data):
    return sha256(b"\0" + data).digest()


def mth(hashes):
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256().digest()
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return sha256(b"\1" + mth(hashes[:k]) + mth(hashes[k:])).digest()


# §2.1


def check_name(of, name):
    inside = "abcdefghijklmnopqrstuvwxyz0123456789.-" + ("_" if of == "list" else "")
    ends = "abcdefghijklmnopqrstuvwxyz0123456789"
    require(1 <= len(name) <= 64 and set(name) <= set(inside), "BAD_NAME")
    require(name[0] in ends and name[-1] in ends, "BAD_NAME")


# §3, §4


def check_item(item):
    require(item and item[0] in KINDS, "UNSUPPORTED_KIND")
    require(len(item) == 1 + KINDS[item[0]][1], "BAD_DIGEST_LENGTH")


def context_string(mode=1):
    return b"OPRFV1-" + bytes([mode]) + b"-ristretto255-SHA512"


def expand(message, dst):
    dst = dst + bytes([len(dst)])
    b0 = sha512(bytes(128) + message + u16(64) + b"\0" + dst).digest()
    return sha512(b0 + b"\1" + dst).digest()


def wide(data):
    return int.from_bytes(data, "little") % L


def hash_to_group(message, mode=1):
    return one_way_map(expand(message, b"HashToGroup-" + context_string(mode)))


def hash_to_scalar(message):
    return wide(expand(message, b"HashToScalar-" + context_string()))


def finalize(item, element):
    return sha512(lp2(item, element.encode()) + b"Finalize").digest()


def derive_key_pair(seed, info, mode=1):
    for counter in range(256):
        k = wide(expand(seed + lp2(info) + bytes([counter]), b"DeriveKeyPair" + context_string(mode)))
        if k:
            return k, (k * GENERATOR).encode()


def epoch_key(seed, list_id, epoch):
    return derive_key_pair(seed, lp2(list_id.encode()) + u32(epoch))


def okm(list_id, epoch, y):
    return sha512(lp2(b"veilmatch/v1/derive", list_id.encode(), u32(epoch), y)).digest()


def tag(match_secret):
    return sha256(b"veilmatch/v1/tag" + match_secret).digest()[:16]


def decode_elements(data, reason):
    require(len(data) % 32 == 0, reason)
    elements = [decode(data[i : i + 32]) for i in range(0, len(data), 32)]
    require(None not in elements, reason)
    return elements


# §6


def check_request(request):
    """What a server refuses by a request's form (§9.4)."""
    view = request["view"]
    require(view is not None and len(view["root"]) == 64 and view["size"] < 2**53, "BAD_REQUEST")
    require(request["epoch"] > 0 and request["version"] > 0 and request["minute"] < 2**53, "BAD_REQUEST")
    require(len(request["batch_id"]) == 32 and len(request["request_signature"]) == 128, "BAD_REQUEST")
    require(len(request["blinded_elements"]) % 64 == 0, "BAD_REQUEST")
    try:
        check_name("list", request["list_id"])
    except Refused:
        raise Refused("BAD_REQUEST") from None
    require(len(request["blinded_elements"]) // 64 in FRAME_SIZES, "FRAME_SIZE")


def unblind(form, r, evaluated, public_key):
    """§4.3, §5.3."""
    if form == "mul":
        return pow(r, -1, L) * evaluated
    assert form == "add"
    return evaluated + (-r % L) * decode(public_key)


def blind(form, r, item):
    """§5.1."""
    assert form in ("mul", "add")
    return r * hash_to_group(item) if form == "mul" else hash_to_group(item) + r * GENERATOR


class Exchange:
    """A frame's context, its blinded elements and what came back."""

    def __init__(self, origin, list_id, epoch, platform, batch, public_key, blinded, evaluated, proof):
        self.origin, self.list_id, self.epoch, self.platform = origin, list_id, epoch, platform
        self.batch, self.public_key = batch, public_key
        self.blinded, self.evaluated, self.proof = blinded, evaluated, proof
        self.n = len(blinded) // 32

    def element_root(self):
        return mth([leaf(self.blinded[i : i + 32]) for i in range(0, len(self.blinded), 32)])

    def request_digest(self):
        fields = (self.origin.encode(), self.platform.encode(), self.list_id.encode(), u32(self.epoch), self.batch)
        return sha256(lp2(b"veilmatch/v1/request", *fields, u32(self.n), self.element_root())).digest()

    def response_digest(self):
        return sha256(b"veilmatch/v1/response" + self.request_digest() + self.evaluated + self.proof).digest()

    def signed_message(self, view_size, view_root, version, minute):
        view = u64(view_size) + view_root
        return lp2(b"veilmatch/v1/request-signature", self.request_digest(), view, u32(version), u64(minute))

    def transcript(self):
        text = (self.origin.encode(), self.list_id.encode(), u32(self.epoch), self.public_key, self.platform.encode())
        frame = (self.batch, u32(self.n), self.blinded, self.evaluated)
        return sha512(lp8(b"veilmatch/v1/transcript", b"ristretto255-SHA512", *text, *frame)).digest()

    def weights(self):
        if self.n == 1:
            seed = sha512(lp2(self.public_key, b"Seed-" + context_string())).digest()
            return [hash_to_scalar(lp2(seed) + u16(0) + lp2(self.blinded, self.evaluated) + b"Composite")]
        transcript, weights = self.transcript(), []
        for j in range((self.n + 3) // 4):
            block = sha512(b"veilmatch/v1/weights" + transcript + u32(j)).digest()
            weights += [int.from_bytes(block[16 * i : 16 * i + 16], "little") for i in range(4)]
        return weights[: self.n]

    def challenge(self, *elements):
        fields = [self.public_key] + [element.encode() for element in elements]
        if self.n == 1:
            return hash_to_scalar(lp2(*fields) + b"Challenge")
        message = lp2(b"veilmatch/v1/challenge", self.transcript(), *fields)
        return wide(expand(message, b"HashToScalar-veilmatch/v1"))

    def verify(self):
        """§6.7: the evaluated elements, if the proof holds."""
        require(self.n in FRAME_SIZES and len(self.blinded) % 32 == 0, "BAD_FRAME")
        require(len(self.evaluated) == 32 * self.n and len(self.proof) == 64, "BAD_PROOF")
        evaluated = decode_elements(self.evaluated, "BAD_PROOF")
        c, s = scalar(self.proof[:32]), scalar(self.proof[32:])
        require(c is not None and s is not None, "BAD_PROOF")
        key = decode(self.public_key)
        require(key is not None, "BAD_PUBLIC_KEY")
        weights = self.weights()
        m = weighted_sum(weights, decode_elements(self.blinded, "BAD_FRAME"))
        z = weighted_sum(weights, evaluated)
        t2, t3 = s * GENERATOR + c * key, s * m + c * z
        require(self.challenge(m, z, t2, t3) == c, "BAD_PROOF")
        return evaluated

    def prove(self, k, random):
        """§6.6, for an exchange whose elements are already evaluated."""
        weights = self.weights()
        m = weighted_sum(weights, decode_elements(self.blinded, "BAD_FRAME"))
        r = wide(sha512(b"veilmatch/v1/nonce" + random + k.to_bytes(32, "little") + self.transcript()).digest())
        c = self.challenge(m, k * m, r * GENERATOR, r * m)
        return c.to_bytes(32, "little") + ((r - c * k) % L).to_bytes(32, "little")


def weighted_sum(weights, elements):
    first, *rest = [weight * element for weight, element in zip(weights, elements, strict=True)]
    for term in rest:
        first = first + term
    return first


# §7


def record_bytes(label_bytes):
    return 16 if label_bytes == 0 else 20 + label_bytes


def padded(n):
    if n <= 1024:
        return 1024
    step = 2 ** (n.bit_length() - 6)
    return -(-n // step) * step


def shard_bits(count):
    return next((b for b in range(20) if count <= 3000 << b), 20)


def dummy(seed, j, length):
    blocks = (sha512(b"veilmatch/v1/dummy" + seed + u64(j) + u32(block)).digest() for block in (0, 1))
    return b"".join(blocks)[:length]


def label_nonce(label_key, label):
    return sha512(b"veilmatch/v1/label-nonce" + label_key + label).digest()[:4]


def seal_label(label_key, label):
    if not label:
        return b""
    nonce = label_nonce(label_key, label)
    pad = sha512(b"veilmatch/v1/label-pad" + label_key + nonce).digest()
    return nonce + bytes(a ^ b for a, b in zip(label, pad))


def open_label(label_key, sealed):
    if not sealed:
        return b""
    pad = sha512(b"veilmatch/v1/label-pad" + label_key + sealed[:4]).digest()
    label = bytes(a ^ b for a, b in zip(sealed[4:], pad))
    require(label_nonce(label_key, label) == sealed[:4], "LABEL_MISMATCH")
    return label


def artifact_header(member, epoch):
    numbers = u16(1) + bytes([member["label_bytes"], member["shard_bits"]]) + u32(epoch) + u64(member["count"])
    return b"VEILMAT1" + numbers + bytes(8)


def directory(records, member):
    """The directory rows and the root of records that are in order (§7.4)."""
    rows, hashes, shards = b"", [], [[] for _ in range(2 ** member["shard_bits"])]
    for record in records:
        shards[int.from_bytes(record[:4], "big") >> 32 - member["shard_bits"]].append(record)
    end = 0
    for shard in shards:
        end += len(shard)
        hashes.append(leaf(b"".join(shard)))
        rows += u64(end) + hashes[-1]
    return rows, mth(hashes)


def read_artifact(file, member, epoch):
    """The records of an artifact that is what its manifest says (§7.1 to §7.4)."""
    require(sha256(file).digest() == b64decode(member["sha256"]), "BAD_ARTIFACT")
    length = record_bytes(member["label_bytes"])
    start = 32 + 40 * 2 ** member["shard_bits"]
    require(len(file) == start + member["count"] * length, "BAD_ARTIFACT")
    require(file[:32] == artifact_header(member, epoch), "BAD_ARTIFACT")
    records = [file[i : i + length] for i in range(start, len(file), length)]
    require(all(a[:16] < b[:16] for a, b in zip(records, records[1:])), "BAD_ARTIFACT")
    rows, root = directory(records, member)
    require(rows == file[32:start] and root == b64decode(member["root"]), "BAD_ARTIFACT")
    return records


def write_artifact(records, member, epoch):
    """The file of records in any order."""
    records = sorted(records)
    return artifact_header(member, epoch) + directory(records, member)[0] + b"".join(records)


def delta_len(label_bytes, removed, added):
    content = 48 + 16 * removed + record_bytes(label_bytes) * added
    return max(4096, 1 << (content - 1).bit_length())


def delta_header(manifest):
    member = manifest["delta"]
    header = b"VEILDEL1" + u16(1) + bytes([manifest["artifact"]["label_bytes"], 0]) + u32(manifest["epoch"])
    return header + u32(member["from"]) + u32(manifest["version"]) + u64(member["removed"]) + u64(member["added"]) + bytes(8)


def write_delta(before, after, manifest):
    """The delta between two sets of records."""
    removed, added = sorted(set(before) - set(after)), sorted(set(after) - set(before))
    content = delta_header(manifest) + b"".join(record[:16] for record in removed) + b"".join(added)
    return content + bytes(manifest["delta"]["bytes"] - len(content))


def apply_delta(file, records, manifest):
    """The artifact that a delta makes of the records of version `from` (§7.6)."""
    member, target = manifest["delta"], manifest["artifact"]
    require(sha256(file).digest() == b64decode(member["sha256"]), "BAD_DELTA")
    label_bytes, header = target["label_bytes"], delta_header(manifest)
    length, tags_end = record_bytes(label_bytes), 48 + 16 * member["removed"]
    added_end = tags_end + length * member["added"]
    require(len(file) == delta_len(label_bytes, member["removed"], member["added"]), "BAD_DELTA")
    require(file[:48] == header and not any(file[added_end:]), "BAD_DELTA")
    removed = [file[i : i + 16] for i in range(48, tags_end, 16)]
    added = [file[i : i + length] for i in range(tags_end, added_end, length)]
    for part in (removed, [record[:16] for record in added]):
        require(all(a < b for a, b in zip(part, part[1:])), "BAD_DELTA")
    by_tag = {record[:16]: record for record in records}
    for gone in removed:
        require(by_tag.pop(gone, None) is not None, "BAD_DELTA")
    for record in added:
        require(by_tag.setdefault(record[:16], record) is record, "BAD_DELTA")
    result = [by_tag[key] for key in sorted(by_tag)]
    rows, root = directory(result, target)
    require(len(result) == target["count"] and root == b64decode(target["root"]), "BAD_DELTA")
    return artifact_header(target, manifest["epoch"]) + rows + b"".join(result)


# §8


def verifier_key(text):
    """Name, key id and public key of `name+hhhhhhhh+base64`."""
    name, key_id, key = text.split("+", 2)
    key = b64decode(key, validate=True)
    require(key[0] == 1 and len(key) == 33, "BAD_NOTE")
    found = sha256(name.encode() + b"\n" + key).digest()[:4]
    require(found.hex() == key_id, "BAD_NOTE")
    return name, found, key[1:]


def open_note(note, vkey):
    """The text of a signed note (§8.3)."""
    name, key_id, key = verifier_key(vkey)
    try:
        require(len(note) <= 16384, "BAD_NOTE")
        text, lines = note.decode().rsplit("\n\n", 1)
        text += "\n"
        require(lines.endswith("\n") and not any(ord(c) < 32 and c != "\n" or c == "\x7f" for c in text), "BAD_NOTE")
        lines = lines[:-1].split("\n")
        require(len(lines) <= 100, "BAD_NOTE")
        verified = False
        for line in lines:
            dash, signer, value = line.split(" ")
            value = b64decode(value, validate=True)
            require(dash == "\u2014" and signer and len(value) > 4, "BAD_NOTE")
            if signer == name and value[:4] == key_id:
                require(ed25519_verifies(key, text.encode(), value[4:]), "BAD_NOTE")
                verified = True
    except ValueError:
        raise Refused("BAD_NOTE") from None
    require(verified, "BAD_NOTE")
    return text


MEMBERS = (
    "agency artifact canary_root categories certs delta epoch frame_sizes kinds list not_after not_before oprf_key "
    "policy prev quota software suite type version"
).split()
ARTIFACT = "bytes count format label_bytes record_bytes root sha256 shard_bits".split()
DELTA = "added bytes from removed sha256".split()


def no_number(text):
    """Fractions, exponents and what JSON does not have."""
    raise ValueError(text)


def canonical(value):
    """RFC 8785 of what occurs in manifests: ASCII, integers, no null."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_hash(text):
    """32 bytes in padded base64, and no other spelling of them."""
    return isinstance(text, str) and len(b64decode(text, validate=True)) == 32 and b64encode(b64decode(text)).decode() == text


def read_manifest(text, vkey):
    """The members of a manifest, its leaf's bytes checked as a whole (§8.1, §8.2)."""
    line = text[:-1].encode()
    try:
        manifest = json.loads(line, parse_float=no_number, parse_constant=no_number)
        require(canonical(manifest) == line and len(line) <= 15360, "BAD_MANIFEST")
        require(sorted(manifest) == MEMBERS, "BAD_MANIFEST")
        require(sorted(manifest["artifact"]) == ARTIFACT and sorted(manifest["delta"]) == DELTA, "BAD_MANIFEST")
        require(manifest["type"] == "veilmatch/manifest/v1", "BAD_MANIFEST")
        require(manifest["suite"] == "ristretto255-SHA512", "BAD_MANIFEST")
        require(manifest["agency"] + "/veilmatch/manifest" == verifier_key(vkey)[0], "BAD_MANIFEST")
        require(1 <= manifest["epoch"] <= manifest["version"] < 2**32, "BAD_MANIFEST")
        require((manifest["prev"] == "") == (manifest["version"] == 1), "BAD_MANIFEST")
        require(decode(b64decode(manifest["oprf_key"], validate=True)) is not None, "BAD_MANIFEST")
        times = [datetime.strptime(manifest[name], "%Y-%m-%dT%H:%M:%SZ") for name in ("not_before", "not_after")]
        require(times[0] < times[1], "BAD_MANIFEST")
        kinds = [{"bytes": KINDS[kind["id"]][1], "id": kind["id"], "name": KINDS[kind["id"]][0]} for kind in manifest["kinds"]]
        require(kinds == manifest["kinds"] and kinds, "BAD_MANIFEST")
        ids = [kind["id"] for kind in kinds]
        require(ids == sorted(set(ids)), "BAD_MANIFEST")
        sizes = manifest["frame_sizes"]
        require(sizes == sorted(set(sizes) & set(FRAME_SIZES)) and sizes[-1] >= len(kinds), "BAD_MANIFEST")
        require(is_hash(manifest["canary_root"]), "BAD_MANIFEST")
        quota = manifest["quota"]
        require(sorted(quota) == ["elements", "frames"], "BAD_MANIFEST")
        require(all(type(n) is int and 0 <= n < 2**53 for n in quota.values()), "BAD_MANIFEST")
        require(manifest["policy"] == "" or is_hash(manifest["policy"]), "BAD_MANIFEST")
        certs = [b64decode(cert) for cert in manifest["certs"] if is_hash(cert)]
        require(len(certs) == len(manifest["certs"]) <= 16 and certs == sorted(set(certs)), "BAD_MANIFEST")
        if manifest["categories"] != "":
            require(len(b64decode(manifest["categories"], validate=True)) == 32, "BAD_MANIFEST")
            require(manifest["artifact"]["label_bytes"] >= 4, "BAD_MANIFEST")
        check_files(manifest)
    except (KeyError, TypeError, ValueError, IndexError):
        raise Refused("BAD_MANIFEST") from None
    return manifest, line


def check_files(manifest):
    file, delta = manifest["artifact"], manifest["delta"]
    length = record_bytes(file["label_bytes"])
    require(file["format"] == 1 and 0 <= file["label_bytes"] <= 64 and file["record_bytes"] == length, "BAD_MANIFEST")
    require(file["count"] == padded(file["count"]) < 2**48, "BAD_MANIFEST")
    require(file["shard_bits"] == shard_bits(file["count"]), "BAD_MANIFEST")
    require(file["bytes"] == 32 + 40 * 2 ** file["shard_bits"] + file["count"] * length, "BAD_MANIFEST")
    if delta == {"added": 0, "bytes": 0, "from": 0, "removed": 0, "sha256": ""}:
        return
    require(1 <= delta["from"] < manifest["version"] and delta["added"] <= file["count"], "BAD_MANIFEST")
    require(len(b64decode(delta["sha256"], validate=True)) == 32, "BAD_MANIFEST")
    require(delta["bytes"] == delta_len(file["label_bytes"], delta["removed"], delta["added"]), "BAD_MANIFEST")


# §7.7


def is_plain(text, most):
    """Text of at most so many bytes without control characters."""
    return type(text) is str and len(text.encode()) <= most and not any(category(c) == "Cc" for c in text)


def read_code_book(content):
    """The members of a code book, its bytes checked as a whole."""
    try:
        book = json.loads(content, parse_float=no_number, parse_constant=no_number)
        require(canonical(book) == content and len(content) <= 1 << 20, "BAD_CODE_BOOK")
        require(sorted(book) == ["agency", "categories", "list", "sources", "type"], "BAD_CODE_BOOK")
        require(book["type"] == "veilmatch/codebook/v1", "BAD_CODE_BOOK")
        scheme = re.compile("[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
        for member in book["categories"]:
            require(sorted(member) == ["action", "code", "number", "scheme", "text"], "BAD_CODE_BOOK")
            require(scheme.fullmatch(member["scheme"]), "BAD_CODE_BOOK")
            require(member["action"] == "" or scheme.fullmatch(member["action"]), "BAD_CODE_BOOK")
            require(member["code"] and is_plain(member["code"], 64) and is_plain(member["text"], 256), "BAD_CODE_BOOK")
        for member in book["sources"]:
            require(sorted(member) == ["name", "number"], "BAD_CODE_BOOK")
        names = [("agency", book["agency"]), ("list", book["list"])]
        for of, name in names + [("list", member["name"]) for member in book["sources"]]:
            check_name(of, name)
        each_once = (
            [(member["scheme"], member["code"], member["action"]) for member in book["categories"]],
            [member["name"] for member in book["sources"]],
        )
        require(all(len(values) == len(set(values)) for values in each_once), "BAD_CODE_BOOK")
        for members, most in ((book["categories"], 65535), (book["sources"], 255)):
            numbers = [member["number"] for member in members]
            require(all(type(number) is int and 1 <= number <= most for number in numbers), "BAD_CODE_BOOK")
            require(all(a < b for a, b in zip(numbers, numbers[1:])), "BAD_CODE_BOOK")
    except (KeyError, TypeError, ValueError, AttributeError, Refused):
        raise Refused("BAD_CODE_BOOK") from None
    return book


def code_book_of(manifest, content):
    """The code book of a manifest's version."""
    require(manifest["categories"] == b64encode(sha256(content).digest()).decode(), "BAD_CODE_BOOK")
    book = read_code_book(content)
    require((book["agency"], book["list"]) == (manifest["agency"], manifest["list"]), "BAD_CODE_BOOK")
    return book


def read_coded_label(label):
    """Whether a stronger kind is listed, numbers of category and source, and the reference if it can be read."""
    require(len(label) >= 4, "LABEL_LENGTH")
    try:
        reference = label[4:].rstrip(b"\0").decode()
    except ValueError:
        reference = None
    if reference is not None and not is_plain(reference, 60):
        reference = None
    return label[0] & 1 == 1, int.from_bytes(label[1:3], "big"), label[3], reference


class Chain:
    """§8.4: what was verified of a list's chain."""

    def __init__(self, list_id):
        self.list_id, self.newest, self.leaf, self.of_epoch = list_id, None, None, {}

    def extend(self, manifest, line):
        epoch, newest = manifest["epoch"], self.newest
        require(manifest["list"] == self.list_id, "BROKEN_CHAIN")
        if newest is None:
            require(manifest["version"] == 1, "BROKEN_CHAIN")
        else:
            require(manifest["version"] > newest["version"], "STALE_MANIFEST")
            require(manifest["version"] == newest["version"] + 1, "BROKEN_CHAIN")
            require(b64decode(manifest["prev"]) == sha256(self.leaf).digest(), "BROKEN_CHAIN")
            require(manifest["agency"] == newest["agency"] and abs(epoch - newest["epoch"]) <= 1, "BROKEN_CHAIN")
            require(abs(epoch - max(self.of_epoch)) <= 1, "BROKEN_CHAIN")
        before = self.of_epoch.get(epoch)
        if before is None:
            require(manifest["delta"]["from"] == 0, "BROKEN_CHAIN")
        else:
            require(manifest["oprf_key"] == before["oprf_key"] and manifest["kinds"] == before["kinds"], "BROKEN_CHAIN")
            require(manifest["artifact"]["label_bytes"] == before["artifact"]["label_bytes"], "BROKEN_CHAIN")
            require(manifest["delta"]["from"] in (0, before["version"]), "BROKEN_CHAIN")
        others = [other["oprf_key"] for number, other in self.of_epoch.items() if number != epoch]
        require(manifest["oprf_key"] not in others, "BROKEN_CHAIN")
        self.newest, self.leaf, self.of_epoch[epoch] = manifest, line, manifest

    def to_use(self):
        """§8.7: the newest version of the highest epoch."""
        return self.of_epoch[max(self.of_epoch)]["version"]


def check_time(manifest, now):
    """§8.5."""

    def unix(text):
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())

    require(unix(manifest["not_before"]) <= now <= unix(manifest["not_after"]), "EXPIRED")
