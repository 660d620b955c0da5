#!/usr/bin/env python3
"""Counts the answers of scripts/demo again, with nothing of ours: digests by hashlib, the list read line by line.

    tests/outside/count.py [trial]

Ends with 0 if every file of trial/files has one answer in trial/results.csv, a match with the label of the list file that
has its digest, or no match.
"""

import csv
import hashlib
import os
import sys


def listed(folder):
    """Digest to label: the name of the list file is the label of its lines."""
    labels = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="ascii") as lines:
            for line in lines:
                labels[bytes.fromhex(line[:64])] = name.removesuffix(".sha256")
    return labels


def expected(folder, labels):
    """Path to what must be answered about it."""
    answers = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                label = labels.get(hashlib.sha256(file.read()).digest())
            answers[path] = ("match", label) if label else ("no_match", "")
    return answers


def main():
    trial = sys.argv[1] if len(sys.argv) > 1 else "trial"
    labels = listed(os.path.join(trial, "lists"))
    wanted = expected(os.path.join(trial, "files"), labels)
    found, twice = {}, 0
    with open(os.path.join(trial, "results.csv"), newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            twice += row["path"] in found
            found[row["path"]] = (row["outcome"], row["label"])
    wrong = [path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path)]
    matches = sum(outcome == "match" for outcome, _ in found.values())
    print(f"{len(labels)} entries, {len(wanted)} files, {len(found)} answers, {matches} matches, "
          f"{len(wrong)} wrong, {twice} answered twice")
    for path in sorted(wrong)[:10]:
        print(f"  {path}: {found.get(path)} and not {wanted.get(path)}")
    return 1 if wrong or twice or not matches else 0


if __name__ == "__main__":
    sys.exit(main())
