#!/usr/bin/env python3
"""Checks the vectors from SPEC.md alone: Python's standard library, no code of ours or of anybody else's.

    tests/outside/check_vectors.py [FOLDER …]           protocol/vectors/ and audit/vectors/ without one
"""

import json
import sys
from base64 import b64decode
from hashlib import sha256, sha512
from pathlib import Path

from evidence import (
    absent_tag,
    check_acknowledgement,
    check_canary,
    check_receipt,
    closing_tree,
    commitment_of,
    key_change_holds,
    leaf,
    mth,
    read_certificate,
    read_closing,
    read_leaf,
    read_opening,
    request_signature_holds,
)
from group import GENERATOR, L, decode, ed25519_public_key, ed25519_verifies
from protocol import (
    Chain,
    Exchange,
    Refused,
    apply_delta,
    blind,
    check_item,
    check_name,
    check_request,
    check_time,
    code_book_of,
    decode_elements,
    derive_key_pair,
    dummy,
    epoch_key,
    finalize,
    hash_to_group,
    lp2,
    okm,
    open_label,
    open_note,
    padded,
    read_artifact,
    read_code_book,
    read_coded_label,
    read_manifest,
    record_bytes,
    require,
    seal_label,
    tag,
    u64,
    unblind,
    write_artifact,
    write_delta,
)

EXCHANGE = "origin list epoch platform batch public_key blinded_elements evaluated_elements proof".split()


def unhex(text):
    return bytes.fromhex(text)


def number(text):
    return int.from_bytes(unhex(text), "little")


def take(case, *names):
    """The members of a case, each exactly once: an unknown one is an error."""
    assert sorted(case) == sorted(names), f"members are {sorted(case)}"
    return [case[name] for name in names]


def exchange(case):
    origin, list_id, epoch, platform, *rest = take(case, *EXCHANGE)
    return Exchange(origin, list_id, epoch, platform, *map(unhex, rest))


def check_derive(case):
    _, list_id, epoch, *rest = take(
        case, *"type list epoch seed public_key item output okm tag label sealed_label".split()
    )
    seed, public_key, item, output, material, published, label, sealed = map(unhex, rest)
    check_item(item)
    k, pk = epoch_key(seed, list_id, epoch)
    assert pk == public_key
    assert finalize(item, k * hash_to_group(item)) == output
    assert okm(list_id, epoch, output) == material
    assert tag(material[:32]) == published
    assert seal_label(material[32:], label) == sealed and open_label(material[32:], sealed) == label


def check_frame(case):
    names = "type form exchange seed items blinds proof_random outputs element_root req resp version view_size view_root minute"
    names += " request_secret_key request_public_key signed_message request_signature"
    take(case, *names.split())
    frame = exchange(case["exchange"])
    k, pk = epoch_key(unhex(case["seed"]), frame.list_id, frame.epoch)
    assert pk == frame.public_key
    evaluated = frame.verify()
    items, blinds = list(map(unhex, case["items"])), list(map(number, case["blinds"]))
    for i, (item, r) in enumerate(zip(items, blinds, strict=True)):
        check_item(item)
        assert blind(case["form"], r, item).encode() == frame.blinded[32 * i : 32 * i + 32]
        unblinded = unblind(case["form"], r, evaluated[i], frame.public_key)
        assert finalize(item, unblinded) == unhex(case["outputs"][i]) == finalize(item, k * hash_to_group(item))
    assert frame.prove(k, unhex(case["proof_random"])) == frame.proof
    assert frame.element_root() == unhex(case["element_root"])
    assert frame.request_digest() == unhex(case["req"])
    assert frame.response_digest() == unhex(case["resp"])
    message = frame.signed_message(case["view_size"], unhex(case["view_root"]), case["version"], case["minute"])
    public_key = unhex(case["request_public_key"])
    assert message == unhex(case["signed_message"])
    assert ed25519_public_key(unhex(case["request_secret_key"])) == public_key
    assert ed25519_verifies(public_key, message, unhex(case["request_signature"]))


def made(text, i):
    return sha512(text.encode() + u64(i)).digest()


def check_seeded_frame(case):
    names = "type form origin list epoch platform batch seed public_key n items_of blinds_of proof_random blinded_sha256"
    names += " evaluated_sha256 outputs_sha256 proof element_root req resp"
    take(case, *names.split())
    k, pk = epoch_key(unhex(case["seed"]), case["list"], case["epoch"])
    assert pk == unhex(case["public_key"])
    items = [b"\3" + sha256(case["items_of"].encode() + u64(i)).digest() for i in range(case["n"])]
    blinds = [int.from_bytes(made(case["blinds_of"], i), "little") % L for i in range(case["n"])]
    blinded = [blind(case["form"], r, item) for r, item in zip(blinds, items)]
    evaluated = [k * element for element in blinded]
    context = [case[name] for name in ("origin", "list", "epoch", "platform")] + [unhex(case["batch"]), pk]
    joined = [b"".join(element.encode() for element in elements) for elements in (blinded, evaluated)]
    frame = Exchange(*context, *joined, unhex(case["proof"]))
    assert [sha256(part).hexdigest() for part in joined] == [case["blinded_sha256"], case["evaluated_sha256"]]
    outputs = [
        finalize(item, unblind(case["form"], r, element, pk)) for item, r, element in zip(items, blinds, frame.verify())
    ]
    assert sha256(b"".join(outputs)).hexdigest() == case["outputs_sha256"]
    assert frame.prove(k, unhex(case["proof_random"])) == frame.proof
    assert frame.element_root() == unhex(case["element_root"])
    assert frame.request_digest() == unhex(case["req"]) and frame.response_digest() == unhex(case["resp"])


def check_rfc(case):
    mode = {"oprf": 0, "voprf": 1}[case["mode"]]
    k, pk = derive_key_pair(unhex(case["seed"]), unhex(case["key_info"]), mode)
    assert k == number(case["secret_key"])
    assert mode == 0 or pk == unhex(case["public_key"])
    columns = (case["inputs"], case["blinds"], case["blinded_elements"], case["evaluated_elements"], case["outputs"])
    for item, blind, blinded, evaluated, output in zip(*columns, strict=True):
        point = hash_to_group(unhex(item), mode)
        assert (number(blind) * point).encode() == unhex(blinded)
        assert (k * decode(unhex(blinded))).encode() == unhex(evaluated)
        assert finalize(unhex(item), pow(number(blind), -1, L) * decode(unhex(evaluated))) == unhex(output)
    if mode == 1 and len(case["inputs"]) == 1:
        fields = (pk, unhex(case["blinded_elements"][0]), unhex(case["evaluated_elements"][0]), unhex(case["proof"]))
        Exchange("", "", 1, "", b"", *fields).verify()


def note(text, vkey):
    return read_manifest(open_note(text.encode(), vkey), vkey)


def followed(list_id, notes, vkey):
    """The chain and its manifests."""
    chain, links = Chain(list_id), [note(text, vkey) for text in notes]
    for link in links:
        chain.extend(*link)
    return chain, [manifest for manifest, _ in links]


def check_chain(case):
    _, vkey, list_id, notes, used = take(case, *"type verifier_key list notes used".split())
    assert len(notes) == len(used) > 1
    assert [followed(list_id, notes[: n + 1], vkey)[0].to_use() for n in range(len(notes))] == used


def check_note(case):
    _, vkey, text = take(case, *"type verifier_key note".split())
    note(text, vkey)


def check_series(case):
    _, vkey, okm_of, labels_of, seed, versions = take(
        case, *"type verifier_key okm_of labels_of dummy_seed versions".split()
    )
    texts, entries, dummies = zip(*(take(version, "note", "entries", "dummies") for version in versions))
    manifests, records, files = followed("baseline", texts, vkey)[1], [], []
    for manifest, window, filler in zip(manifests, entries, dummies):
        member, epoch = manifest["artifact"], manifest["epoch"]
        assert padded(window[1] - window[0]) == member["count"]
        materials = [(made(okm_of, i), made(labels_of, i)[: member["label_bytes"]]) for i in range(*window)]
        records.append([tag(okm[:32]) + seal_label(okm[32:], label) for okm, label in materials])
        records[-1] += [dummy(unhex(seed), j, record_bytes(member["label_bytes"])) for j in range(*filler)]
        files.append(write_artifact(records[-1], member, epoch))
        assert read_artifact(files[-1], member, epoch) == sorted(records[-1])
    assert apply_delta(write_delta(*records, manifests[1]), sorted(records[0]), manifests[1]) == files[1]


def check_enrolment(case):
    _, request, secret_key, public_key, message = take(
        case, *"type request request_secret_key request_public_key signed_message".split()
    )
    names = "type platform csr request_key match_log_key receipt_key witness_key contact signature"
    kind, platform, csr, key, match_log, receipt, witness, contact, signature = take(request, *names.split())
    assert kind == "veilmatch/enrolment-request/v1" and csr.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    check_name("platform", platform)
    for role, verifier_key, type_byte in ("match", match_log, 1), ("receipt", receipt, 1), ("witness", witness, 4):
        name, key_id, typed = verifier_key.split("+", 2)
        assert name == f"{platform}/veilmatch/{role}" and b64decode(typed)[0] == type_byte
        assert sha256(name.encode() + b"\n" + b64decode(typed)).digest()[:4].hex() == key_id
    fields = ("veilmatch/v1/enrolment", platform, csr, contact, match_log, receipt, witness)
    fields = [field.encode() for field in fields]
    assert lp2(*fields) == unhex(message) and b64decode(key) == unhex(public_key)
    assert ed25519_public_key(unhex(secret_key)) == unhex(public_key)
    assert ed25519_verifies(unhex(public_key), unhex(message), b64decode(signature))


def check_list(case):
    _, vkey, notes, artifact, delta, entries = take(
        case, *"type verifier_key notes artifact delta entries".split()
    )
    first, second = followed("baseline", notes, vkey)[1]
    old = read_artifact(unhex(artifact), first["artifact"], first["epoch"])
    new = apply_delta(unhex(delta), old, second)
    versions = [old, read_artifact(new, second["artifact"], second["epoch"])]
    assert entries
    for entry in entries:
        item, material, labels = take(entry, "item", "okm", "labels")
        check_item(unhex(item))
        material = unhex(material)
        for records, label in zip(versions, labels, strict=True):
            found = [record[16:] for record in records if record[:16] == tag(material[:32])]
            assert [open_label(material[32:], sealed) for sealed in found] == ([] if label is None else [unhex(label)])


def changed(case, member):
    """The note, the base case, and the file of the base with some bytes changed."""
    _, base, text, length, patch, _, _ = take(case, *"type base note length patch expect why".split())
    base = json.loads((FOLDER / base).read_text())
    file = bytearray(unhex(base[member])[:length])
    file += bytes(length - len(file))
    for part in patch:
        at, data = take(part, "at", "bytes")
        file[at : at + len(unhex(data))] = unhex(data)
    return note(text, base["verifier_key"])[0], base, bytes(file)


def check_code_book(case):
    _, vkey, text, content = take(case, *"type verifier_key note code_book".split())
    return code_book_of(note(text, vkey)[0], content.encode())


def bad_code_book(case):
    content = case["code_book"].encode()
    if "note" in case:
        code_book_of(note(case["note"], case["verifier_key"])[0], content)
    read_code_book(content)


def check_coded_label(case):
    _, base, label, stronger, number, of, category, source, reference = take(
        case, *"type base label stronger_listed category_number source_number category source reference".split()
    )
    book = check_code_book(json.loads((FOLDER / base).read_text()))
    assert read_coded_label(unhex(label)) == (stronger, number, of, reference)
    found = [dict(member) for member in book["categories"] if member.pop("number") == number]
    assert found == ([] if category is None else [category])
    assert [member["name"] for member in book["sources"] if member["number"] == of] == ([source] if source else [])


def bad_coded_label(case):
    read_coded_label(unhex(take(case, *"type label expect why".split())[1]))


def bad_note(case):
    _, vkey, text, _, _ = take(case, *"type verifier_key note expect why".split())
    note(text, vkey)


def bad_link(case):
    _, base, after, text, _, _ = take(case, *"type base after note expect why".split())
    base = json.loads((FOLDER / base).read_text())
    chain, _ = followed(base["list"], base["notes"][:after], base["verifier_key"])
    chain.extend(*note(text, base["verifier_key"]))


def bad_time(case):
    _, vkey, text, now, _, _ = take(case, *"type verifier_key note now expect why".split())
    check_time(note(text, vkey)[0], now)


def bad_name(case):
    _, of, name, _, _ = take(case, *"type of name expect why".split())
    check_name(of, name)


def bad_item(case):
    check_item(unhex(take(case, *"type item expect why".split())[1]))


def bad_public_key(case):
    require(decode(unhex(take(case, *"type public_key expect why".split())[1])) is not None, "BAD_PUBLIC_KEY")


def bad_label(case):
    _, material, sealed, _, _ = take(case, *"type okm sealed_label expect why".split())
    open_label(unhex(material)[32:], unhex(sealed))


def bad_signature(case):
    _, key, message, signature, _, _ = take(case, *"type public_key message signature expect why".split())
    require(ed25519_verifies(unhex(key), unhex(message), unhex(signature)), "BAD_SIGNATURE")


def bad_request(case):
    check_request(take(case, *"type request expect why".split())[1])


def bad_artifact(case):
    manifest, _, file = changed(case, "artifact")
    read_artifact(file, manifest["artifact"], manifest["epoch"])


def bad_delta(case):
    manifest, base, file = changed(case, "delta")
    first, _ = note(base["notes"][0], base["verifier_key"])
    apply_delta(file, read_artifact(unhex(base["artifact"]), first["artifact"], first["epoch"]), manifest)


def answer(case):
    exchange(case["exchange"]).verify()


def elements(case):
    decode_elements(unhex(case["blinded_elements"]), "BAD_FRAME")


def check_leaf(case):
    text, leaf_hash = case["leaf"], case["leaf_hash"]
    kind, members = read_leaf(text)
    assert leaf(text.encode()) == unhex(leaf_hash)
    shown = {"query": ["request_public_key"], "absent": ["public_key", "tag"]}.get(kind, [])
    take(case, "type", "leaf", "leaf_hash", *shown)
    if kind == "key" and members["old"]:
        assert key_change_holds(members)
    if kind == "query":
        assert request_signature_holds(members, unhex(case["request_public_key"]))
    if kind == "absent":
        assert absent_tag(members, unhex(case["public_key"])) == unhex(case["tag"])


def bad_leaf(case):
    read_leaf(take(case, *"type leaf expect why".split())[1])


def promise(case):
    check_acknowledgement(case["note"], case["verifier_key"], case["leaf"])


def check_closing(case):
    _, receipt_key, ack_key, text, frames, digest = take(
        case, *"type receipt_key ack_key note frames digest".split()
    )
    members, found = read_closing(text, receipt_key, ack_key)
    pairs = [(unhex(frame["req"]), unhex(frame["resp"])) for frame in frames]
    assert members["frames"] == len(frames) and members["elements"] == sum(frame["n"] for frame in frames)
    assert closing_tree(pairs) == b64decode(members["tree"]) and found == unhex(digest)


def bad_closing(case):
    read_closing(case["note"], case["receipt_key"], case["ack_key"])


def check_certificate(case):
    _, vkey, text, digest = take(case, *"type verifier_key note digest".split())
    read_certificate(text, vkey)
    assert sha256(text.encode()).digest() == unhex(digest)


def bad_certificate(case):
    read_certificate(case["note"], case["verifier_key"])


def check_planted(case):
    _, root, opening, canaries = take(case, *"type canary_root opening canaries".split())
    all_of_them = sorted(commitment_of(c["deadline"], unhex(c["salt"]), unhex(c["tag"])) for c in canaries)
    assert mth([leaf(c) for c in all_of_them]) == unhex(root)
    assert check_canary(opening, unhex(root)) in all_of_them


def bad_canary(case):
    check_canary(case["opening"], unhex(case["canary_root"]))


def receipt(case):
    opening = read_opening(case["opening"])
    leaves = [read_leaf(case[at])[1] for at in ("match", "frame", "query")]
    secret = unhex(case["secret"]) if "secret" in case else b64decode(opening["secret"])
    item = unhex(case["item"]) if "item" in case else None
    check_receipt(case["verifier_key"], opening, *leaves, case["manifest"], unhex(case["label"]), secret, item)


def bad_opening(case):
    read_opening(take(case, *"type opening expect why".split())[1])


ACCEPTED = {
    "leaf": check_leaf,
    "acknowledgement": promise,
    "closing": check_closing,
    "certificate": check_certificate,
    "canary": check_planted,
    "receipt": receipt,
    "derive": check_derive,
    "frame": check_frame,
    "seeded_frame": check_seeded_frame,
    "list": check_list,
    "series": check_series,
    "chain": check_chain,
    "note": check_note,
    "enrolment": check_enrolment,
    "code_book": check_code_book,
    "coded_label": check_coded_label,
}
REJECTED = {
    "leaf": bad_leaf,
    "acknowledgement": promise,
    "closing": bad_closing,
    "certificate": bad_certificate,
    "canary": bad_canary,
    "receipt": receipt,
    "opening": bad_opening,
    "answer": answer,
    "elements": elements,
    "note": bad_note,
    "time": bad_time,
    "link": bad_link,
    "name": bad_name,
    "item": bad_item,
    "public_key": bad_public_key,
    "label": bad_label,
    "code_book": bad_code_book,
    "coded_label": bad_coded_label,
    "signature": bad_signature,
    "request": bad_request,
    "artifact": bad_artifact,
    "delta": bad_delta,
}
ROOT = Path(__file__).resolve().parents[2]
FOLDERS = list(map(Path, sys.argv[1:])) or [ROOT / "protocol" / "vectors", ROOT / "audit" / "vectors"]
# Bases of refused cases stand beside them.
FOLDER = FOLDERS[0]


def check(path):
    case = json.loads(path.read_text())
    if path.parent.name == "rfc9497":
        check_rfc(case)
    elif path.parent.name == "accept":
        ACCEPTED[case["type"]](case)
    else:
        assert path.parent.name == "reject" and case["why"]
        try:
            REJECTED[case["type"]](case)
        except Refused as refused:
            assert str(refused) == case["expect"], f"refused as {refused}"
        else:
            raise AssertionError("not refused")


def main():
    assert GENERATOR.encode().hex().startswith("e2f2ae0a")
    failed = 0
    wanted = [folder / name for folder in FOLDERS for name in ("accept", "reject")]
    for folder in [FOLDER / "rfc9497"] + wanted:
        paths = sorted(folder.glob("*.json"))
        if not paths:
            sys.exit(f"check_vectors: {folder} has no vectors")
        for path in paths:
            try:
                check(path)
            except Exception as error:
                failed += 1
                print(f"check_vectors: {path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"{folder.parent.parent.name} {folder.name}: {len(paths)} vectors")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
