#!/usr/bin/env python3
"""Checks protocol/vectors/ from SPEC.md alone: Python's standard library, no code of ours or of anybody else's.

    tests/outside/check_vectors.py [FOLDER]
"""

import json
import sys
from pathlib import Path

from group import GENERATOR, L, decode, ed25519_public_key, ed25519_verifies
from protocol import (
    Exchange,
    Refused,
    check_item,
    decode_elements,
    apply_delta,
    derive_key_pair,
    epoch_key,
    finalize,
    follows,
    hash_to_group,
    okm,
    open_label,
    open_note,
    read_artifact,
    read_manifest,
    seal_label,
    tag,
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
    names = "type exchange seed items blinds proof_random outputs element_root req resp version view_size view_root minute"
    names += " request_secret_key request_public_key signed_message request_signature"
    take(case, *names.split())
    frame = exchange(case["exchange"])
    k, pk = epoch_key(unhex(case["seed"]), frame.list_id, frame.epoch)
    assert pk == frame.public_key
    evaluated = frame.verify()
    items, blinds = list(map(unhex, case["items"])), list(map(number, case["blinds"]))
    for i, (item, blind) in enumerate(zip(items, blinds, strict=True)):
        check_item(item)
        assert (blind * hash_to_group(item)).encode() == frame.blinded[32 * i : 32 * i + 32]
        unblinded = pow(blind, -1, L) * evaluated[i]
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


def check_list(case):
    _, vkey, notes, artifact, delta, entries = take(
        case, *"type verifier_key notes artifact delta entries".split()
    )
    (first, leaf), (second, _) = (note(text, vkey) for text in notes)
    follows(first, None, None)
    follows(second, first, leaf)
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


def bad_note(case):
    _, vkey, text, _, _ = take(case, *"type verifier_key note expect why".split())
    note(text, vkey)


def bad_link(case):
    _, vkey, previous, text, _, _ = take(case, *"type verifier_key previous note expect why".split())
    follows(note(text, vkey)[0], *(note(previous, vkey) if previous else (None, None)))


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


ACCEPTED = {"derive": check_derive, "frame": check_frame, "list": check_list}
REJECTED = {
    "answer": answer,
    "elements": elements,
    "note": bad_note,
    "link": bad_link,
    "artifact": bad_artifact,
    "delta": bad_delta,
}
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "protocol" / "vectors"


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
    for name in ("rfc9497", "accept", "reject"):
        paths = sorted((FOLDER / name).glob("*.json"))
        if not paths:
            sys.exit(f"check_vectors: {FOLDER / name} has no vectors")
        for path in paths:
            try:
                check(path)
            except Exception as error:
                failed += 1
                print(f"check_vectors: {path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        print(f"{name}: {len(paths)} vectors")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
