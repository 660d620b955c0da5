#!/usr/bin/env python3
"""Reads the machine code of a program and finds jumps and addresses that depend on secrets.

    scripts/taint.py PROGRAM FUNCTIONS [--except FUNCTIONS] [--reach FUNCTIONS]

checks the functions whose names match a regular expression, fails where it finds something, and where a function of the
comma-separated list `--reach` is not among those checked. Every value has one of three levels:

    public   constants, arguments of functions that only others call (addresses, lengths), and what PUBLIC lists
    memory   whatever else was loaded: scalars, coordinates, strings
    secret   masks of comparisons of what is not public, and what functions outside the check give

and a result has the highest level of its operands. Levels are followed through registers, flags and the stack frame,
into the functions checked and out of them, until nothing changes. What is not public must not decide a conditional jump,
be part of an address, count a repetition, be divided or be the target of a jump. Vectors of addresses are refused
whatever their level. One thing is let through: a word of memory used as it is, or with something public added, as the
base of an address. It is no secret, for secrets are no addresses.

What a callee can have written on the stack frame is not public, unless WRITES says so. Left out are code that only
unwinding reaches and functions outside the check, whose names are printed.
"""
import argparse
import re
import subprocess
import sys

PUBLIC_LEVEL, MEMORY, SECRET = 0, 1, 2
LEVELS = ["public", "memory", "secret"]

# What is public behind an argument: the function, the argument's register, first and last byte, and what it is.
PUBLIC = [
    ("::(multiply_shared)$", "rdi", 0, 0x27, "a batch's length, form and place"),
    ("::(multiply_each|add_multiples|montgomery_chunk)$", "rsi", 0, 0x27, "a batch's length, form and place"),
    ("FixedBase::multiply$", "rsi", 0, 0x17, "a table's place and length"),
    ("Inverses::push$", "rdi", 0, 7, "whether there is a product"),
    ("Inverses::push$", "rdi", 0x180, 0x1c8, "the stacks' places and lengths"),
    ("Inverses::pop$", "rsi", 0, 7, "whether there is a product"),
    ("Inverses::pop$", "rsi", 0x180, 0x1c8, "the stacks' places and lengths, and whether the inversion is done"),
    ("sha512::digests$", "rsi", 0, 0x7f, "the messages' places and lengths"),
]

# Of a stack of elements to be inverted: whether there is a product, and the places, lengths and state.
INVERSES = [(0, 7), (0x180, 0x1cf)]

# What a callee writes through an argument that points into the caller's frame: caller and callee, the argument's
# register, how many bytes, and which of them are public. What is borrowed has length 0. Others write as far as NEAR.
WRITES = [
    ("Steps::set_all -> memcpy", "rdi", 0x20, []),
    ("-> .*montgomery_chunk$", "rdi", 0x18, [(0, 0x17)]),
    ("-> .*Inverses::with_capacity$", "rdi", 0x200, INVERSES),
    ("-> .*Inverses::push$", "rdi", 0x200, INVERSES),
    ("-> .*Inverses::push$", "rsi", 0, []),
    ("-> .*Inverses::pop$", "rdi", 0x140, []),
    ("-> .*Inverses::pop$", "rsi", 0x200, INVERSES),
    ("-> .*drop_in_place<.*Inverses>$", "rdi", 0x200, []),
    ("-> .*Steps::set(_all)?$", "rdi", 0x102, []),
    ("-> .*Steps::set(_all)?$", "rsi|rdx", 0, []),
    ("-> .*curve25519_dalek::scalar::Scalar", "rdi", 0x20, []),
    ("-> .*curve25519_dalek::scalar::Scalar", "rsi|rdx", 0, []),
    ("-> .*ifma::(curve|field|ladder|fixed)::", "rdi", 0x500, []),
    ("-> .*ifma::(curve|field|ladder|fixed)::", "rsi|rdx|rcx|r8|r9", 0, []),
]

# Functions outside the check whose results are public: addresses of new memory and the like.
PUBLIC_RESULTS = re.compile(r"alloc|memalign|memcpy|memmove|memset|RawVec|finish_grow|with_capacity")
NEVER_RETURN = re.compile(r"panic|_fail|handle_error|handle_alloc_error|Unwind_Resume|abort|capacity_overflow")

GPR = {}
for name in "ax bx cx dx".split():
    for form in ("r" + name, "e" + name, name, name[0] + "l", name[0] + "h"):
        GPR[form] = "r" + name
for name in "si di bp sp".split():
    for form in ("r" + name, "e" + name, name, name + "l"):
        GPR[form] = "r" + name
for number in range(8, 16):
    for suffix in ("", "d", "w", "b"):
        GPR[f"r{number}{suffix}"] = f"r{number}"
ARGUMENTS = ["rdi", "rsi", "rdx", "rcx", "r8", "r9"]
CALLER_SAVED = ARGUMENTS + ["rax", "r10", "r11"]
FLAGS = "flags"
WRITES_FLAGS = re.compile(
    r"(add|sub|inc|dec|neg|and|or|xor|shl|shr|sal|sar|rol|ror|rcl|rcr|cmp|test|bt|bts|btr|btc|adc|sbb|imul|mul|"
    r"popcnt|lzcnt|tzcnt|bsf|bsr|andn|blsr|blsi|blsmsk|bextr|bzhi|shld|shrd|adcx|adox|xadd|cmpxchg)[bwlq]?$"
    r"|kortest|ktest|v?ptest|vtest|v?u?comis")
READS_FLAGS = re.compile(r"(set|cmov)[a-z]+$|(adc|sbb|rcl|rcr)[bwlq]?$|adcx|adox")
NO_RESULT = re.compile(r"(cmp|test|bt)[bwlq]?$|kortest|ktest|v?ptest$|v?u?comis")
ONLY_WRITES = re.compile(r"v?mov|lea|set|v?pmov|kmov|pop[qw]?$|v?pbroadcast|v?broadcast|lzcnt|tzcnt|popcnt|bsf|bsr|"
                         r"rorx|sarx|shlx|shrx|mulx|bextr|bzhi|andn|bls|pshuf|pext|pdep|cvt")
VECTOR_ACCUMULATES = re.compile(r"vpmadd52|vpternlog|vpermi2|vpermt2|vpdp|vfm|vpshldv|vpshrdv|vpinsr|vinsert")


class Value:
    """A level, where it comes from, and what else is known, if anything: the number ("const", n), an address on the
    frame ("sp", n) or from there upwards ("near", n), one behind an argument ("rdi", n), a word of memory ("base", 0),
    or a function."""
    __slots__ = ("level", "known", "origin")

    def __init__(self, level, known=None, origin=None):
        self.level, self.known, self.origin = level, known, origin

    def __eq__(self, other):
        return other is not None and self.level == other.level and self.known == other.known


NOTHING = Value(PUBLIC_LEVEL)


def higher(*values):
    return max(values, key=lambda value: value.level)


def joined(a, b):
    if a == b:
        return a
    known = a.known if a.known == b.known else None
    if known is None and a.known and b.known and a.known[0] == b.known[0] == "sp":
        known = ("near", min(a.known[1], b.known[1]))
    for x, y in ((a, b), (b, a)):
        if known is None and x.known and x.known[0] == "near" and y.known and y.known[0] in ("sp", "near"):
            known = ("near", min(x.known[1], y.known[1]))
    bases = [v for v in (a, b) if v.known == ("base", 0)]
    if known is None and bases and all(v.known == ("base", 0) or v.level == PUBLIC_LEVEL for v in (a, b)):
        known = ("base", 0)
    return Value(max(a.level, b.level), known, higher(a, b).origin)


class State:
    def __init__(self, registers, slots):
        self.registers, self.slots = registers, slots

    def copy(self):
        return State(dict(self.registers), dict(self.slots))

    def get(self, register, width=8):
        low = self.registers.get(register + ".b")
        if low is not None:
            return low if width == 1 else higher(self.registers.get(register, Value(SECRET)), low)
        return self.registers.get(register, Value(SECRET, None, "a register that a call left"))

    def join(self, other):
        """Takes another path's state in; says whether anything changed."""
        changed = False
        for low in [r for r in self.registers.keys() | other.registers.keys() if r.endswith(".b")]:
            value = joined(self.get(low[:-2], 1), other.get(low[:-2], 1))
            if self.registers.get(low) != value:
                self.registers[low] = value
                changed = True
        for register in [r for r in self.registers if not r.endswith(".b")]:
            if register not in other.registers:
                del self.registers[register]
                changed = True
                continue
            value = joined(self.registers[register], other.registers[register])
            if value != self.registers[register]:
                self.registers[register] = value
                changed = True
        for slot in list(self.slots):
            if slot not in other.slots:
                del self.slots[slot]
                changed = True
                continue
            value = joined(self.slots[slot], other.slots[slot])
            if value != self.slots[slot]:
                self.slots[slot] = value
                changed = True
        return changed


class Instruction:
    __slots__ = ("address", "operation", "operands", "target", "text")

    def __init__(self, address, operation, rest):
        self.address, self.text = address, f"{operation} {rest}".strip()
        self.operation, self.target = operation, None
        rest = rest.split(" #")[0].strip()
        if operation.startswith("j") or operation == "call":
            match = re.match(r"([0-9a-f]+) <(.*?)(\+0x[0-9a-f]+)?>$", rest)
            if match:
                self.target = (int(match[1], 16), match[2])
                rest = ""
        self.operands = split(rest)


def split(text):
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    if part.strip():
        parts.append(part.strip())
    return parts


MEMORY_OPERAND = re.compile(r"^\*?(?:%\ws:)?(-?0x[0-9a-f]+|-?\d+)?\((%\w+)?(?:,(%\w+)(?:,(\d))?)?\)")


def register_of(operand):
    """The register that an operand is, and the width in bytes."""
    match = re.match(r"^\*?%(\w+)", operand)
    if not match or "(" in operand.split("{")[0]:
        return None, 0
    name = match[1]
    if name in GPR:
        if name.startswith("r") and not name[-1] in "dwb":
            return GPR[name], 8
        if name.startswith("e") or name.endswith("d"):
            return GPR[name], 4
        return GPR[name], 2 if len(name) == 2 and name[1] in "xip" or name.endswith("w") else 1
    match = re.match(r"^([xyz])mm(\d+)$", name)
    if match:
        return "v" + match[2], {"x": 16, "y": 32, "z": 64}[match[1]]
    if re.match(r"^k[0-7]$", name):
        return name, 8
    return name, 8


def objdump(*arguments):
    return subprocess.run(["objdump", "-C", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


PREFIXES = r"(?:lock|rep|repz|repnz|notrack|bnd|data16|cs|\{\w+\}) "


def read_program(path):
    """The functions of a program, by name: lists of instructions."""
    text, table = objdump("-d", "-w", "--no-show-raw-insn", path), objdump("-R", path)
    relocated = dict(re.findall(r"^([0-9a-f]+) \S+ +(.+)$", table, re.M))
    functions, body = {}, []
    for line in text.splitlines():
        match = re.match(r"^([0-9a-f]+) <(.*)>:$", line)
        if match:
            body, name = [], match[2]
            while name in functions:
                name += "'"
            functions[name] = body
            continue
        match = re.match(rf"^\s+([0-9a-f]+):\s+((?:{PREFIXES})*)(\S+)\s*(.*)$", line)
        if match:
            prefix = "rep" if "rep" in match[2] else ""
            instruction = Instruction(int(match[1], 16), prefix + match[3], match[4])
            through = re.search(r"\(%rip\).* +# ([0-9a-f]+)", match[4])
            if through and through[1].rjust(16, "0") in relocated:
                to = relocated[through[1].rjust(16, "0")]
                instruction.target = (int(to.split("+")[1], 16), "") if to.startswith("*ABS*") else (0, to)
            body.append(instruction)
    return {name: body for name, body in functions.items() if body}


class Checker:
    def __init__(self, functions, chosen):
        self.chosen = {name: functions[name] for name in chosen}
        self.by_address = {body[0].address: name for name, body in functions.items()}
        self.entries = {name: None for name in chosen}
        self.results = {name: PUBLIC_LEVEL for name in chosen}
        self.findings = {}
        self.jumps = self.accesses = 0
        self.outside = set()

    def run(self):
        called = {self.callee(i)[1] for body in self.chosen.values() for i in body if i.operation == "call"}
        # Functions that only others call take what these give them.
        for name in self.chosen:
            if name not in called:
                self.entries[name] = self.entry({})
        while True:
            before = (known_levels(self.entries), dict(self.results))
            self.findings, self.jumps, self.accesses = {}, 0, 0
            for name in self.chosen:
                if self.entries[name] is not None:
                    self.function(name)
            if before == (known_levels(self.entries), self.results):
                return

    def entry(self, levels):
        registers = {r: Value(levels.get(r, PUBLIC_LEVEL), (r, 0), f"argument {r}") for r in ARGUMENTS}
        for r in ("rax", "rbx", "rbp", "r10", "r11", "r12", "r13", "r14", "r15", FLAGS):
            registers[r] = NOTHING
        registers["rsp"] = Value(PUBLIC_LEVEL, ("sp", 0))
        slots = {8 * k: Value(levels.get(8 * k, PUBLIC_LEVEL)) for k in range(1, 9)}
        return State(registers, slots)

    def callee(self, instruction):
        if instruction.target:
            address, name = instruction.target
            return address, self.by_address.get(address, name)
        return None, ""

    def function(self, name):
        body = self.chosen[name]
        at = {instruction.address: k for k, instruction in enumerate(body)}
        self.name = name
        # States stand at the first instructions of blocks.
        starts = {0}
        for k, instruction in enumerate(body):
            if instruction.operation.startswith("j") and instruction.target:
                starts.add(at.get(instruction.target[0], 0))
        states = {0: self.entries[name].copy()}
        waiting = [0]
        seen = set()
        while waiting:
            k = waiting.pop()
            state = states[k].copy()
            while True:
                instruction = body[k]
                seen.add(k)
                goes_on, target = self.step(instruction, state)
                if target in at:
                    self.flow(at[target], state, states, waiting)
                k += 1
                if not goes_on or k == len(body):
                    break
                if k in starts:
                    self.flow(k, state, states, waiting)
                    break
        self.jumps += sum(1 for k in seen if re.match(r"j(?!mp)", body[k].operation))
        self.accesses += sum(1 for k in seen if "(" in body[k].text)

    def flow(self, k, state, states, waiting):
        if k not in states:
            states[k] = state.copy()
            waiting.append(k)
        elif states[k].join(state) and k not in waiting:
            waiting.append(k)

    def find(self, instruction, what, value):
        if value.level != PUBLIC_LEVEL:
            self.findings[self.name, instruction.address] = (what, value, instruction.text)

    # What an address is, and whether it may be one.
    def place(self, operand, state, instruction):
        match = MEMORY_OPERAND.match(operand)
        if not match:
            return None
        offset = int(match[1] or "0", 0)
        base, index = match[2], match[3]
        if base == "%rip":
            return ("constant", 0)
        if index and re.match(r"%[xyz]mm", index):
            self.find(instruction, "gathers by a vector of addresses", Value(SECRET))
            return None
        index_value = state.get(GPR[index[1:]]) if index and index[1:] in GPR else NOTHING
        self.find(instruction, "has an index", index_value)
        if not base:
            return None
        value = state.get(GPR[base[1:]])
        if value.known == ("base", 0):
            return ("base", 0)
        self.find(instruction, "has a base", value)
        known = value.known
        if known is None or known[0] in ("const", "function"):
            return None
        scale = int(match[4] or "1")
        if index and index_value.known and index_value.known[0] == "const":
            offset += scale * index_value.known[1]
        elif index:
            return ("near", known[1] + offset) if known[0] in ("sp", "near") else None
        return (known[0], known[1] + offset)

    def load(self, operand, width, state, instruction):
        place = self.place(operand, state, instruction)
        if place is None or place[0] == "base" or place[0] == "const":
            return Value(MEMORY, ("base", 0) if width == 8 else None, f"{instruction.address:x}: {instruction.text}")
        if place[0] == "constant":
            return Value(PUBLIC_LEVEL, ("function", instruction.target)) if instruction.target else NOTHING
        if place[0] == "sp":
            unwritten = Value(SECRET, None, f"{instruction.address:x}: {instruction.text}, a slot that a callee wrote")
            if width < 8 and place[1] + 0.5 in state.slots:
                return state.slots[place[1] + 0.5]
            parts = []
            for slot in range(place[1] // 8 * 8, place[1] + max(width, 1), 8):
                parts.append(state.slots.get(slot, unwritten))
                parts.extend(value for part, value in state.slots.items() if slot < part < slot + 8)
            value = parts[0]
            for part in parts[1:]:
                value = Value(max(value.level, part.level), None, higher(value, part).origin)
            return value
        if place[0] == "near":
            levels = [v.level for slot, v in state.slots.items() if place[1] <= slot < place[1] + NEAR]
            return Value(max(levels + [MEMORY]), None, f"{instruction.address:x}: {instruction.text}, on the stack")
        for function, register, first, last, _ in PUBLIC:
            if register == place[0] and first <= place[1] <= last and re.search(function, self.name):
                return NOTHING
        return Value(MEMORY, ("base", 0) if width == 8 else None, f"{instruction.address:x}: {instruction.text}")

    def store(self, operand, width, value, state, instruction):
        place = self.place(operand, state, instruction)
        if place is None:
            return
        if place[0] == "sp":
            for slot in range(place[1] // 8 * 8, place[1] + max(width, 1), 8):
                parts = [part for part in state.slots if slot < part < slot + 8]
                if width < 8:
                    # A part of a word stands beside it, half a byte behind its address.
                    for part in parts:
                        state.slots[part] = Value(higher(state.slots[part], value).level, None, value.origin)
                    state.slots[place[1] + 0.5] = value
                    if slot in state.slots:
                        state.slots[slot] = Value(higher(state.slots[slot], value).level, None, value.origin)
                    continue
                for part in parts:
                    del state.slots[part]
                aligned = place[1] % 8 == 0 or width > 8
                known = value.known if width == 8 and aligned else None
                state.slots[slot] = Value(value.level, known, value.origin)
        elif place[0] == "near":
            for slot in state.slots:
                if place[1] <= slot < place[1] + NEAR:
                    state.slots[slot] = joined(state.slots[slot], Value(value.level))

    def step(self, i, state):
        """Carries a state over an instruction. Gives whether the next one can follow, and where else it can go."""
        op, operands = i.operation, i.operands
        if op in ("ret", "retq"):
            self.results[self.name] = max(self.results[self.name], state.get("rax").level)
            return False, None
        if op in ("ud2", "hlt", "int3"):
            return False, None
        if op.startswith("jmp"):
            if i.target:
                if self.by_address.get(i.target[0]) in self.chosen and self.by_address[i.target[0]] != self.name:
                    self.call(i, state)
                return False, i.target[0]
            to = self.value(operands[0].lstrip("*"), 8, state, i) if operands else Value(SECRET)
            self.find(i, "is an indirect jump", to)
            return False, None
        if op.startswith("j"):
            self.find(i, "is decided", state.get("rcx" if "cxz" in op else FLAGS))
            return True, i.target[0] if i.target else None
        if op == "call":
            if not i.target and operands:
                self.find(i, "is an indirect target", self.value(operands[0].lstrip("*"), 8, state, i))
            return self.call(i, state), None
        if op.startswith("nop") or op in ("vzeroupper", "endbr64", "cld", "mfence", "lfence", "sfence", "pause"):
            return True, None
        if op.startswith("push"):
            sp = state.get("rsp").known
            value = self.value(operands[0], 8, state, i)
            if sp:
                state.registers["rsp"] = Value(PUBLIC_LEVEL, ("sp", sp[1] - 8))
                state.slots[(sp[1] - 8) // 8 * 8] = value
            return True, None
        if op.startswith("pop") and not op.startswith("popcnt"):
            sp = state.get("rsp").known
            if sp:
                self.put(operands[0], 8, state.slots.get(sp[1] // 8 * 8, Value(SECRET)), state, i)
                state.registers["rsp"] = Value(PUBLIC_LEVEL, ("sp", sp[1] + 8))
            return True, None
        if op.startswith("rep"):
            self.find(i, "repeats as often", state.get("rcx"))
            for r in ("rdi", "rsi", "rcx"):
                self.put("%" + r, 8, NOTHING, state, i)
            return True, None
        if re.match(r"i?div[bwlq]?$", op) and len(operands) == 1:
            level = max(self.level(operands[0], state, i), state.get("rax").level, state.get("rdx").level)
            self.find(i, "divides", Value(level))
            self.put("%rax", 8, Value(level), state, i)
            self.put("%rdx", 8, Value(level), state, i)
            return True, None
        if re.match(r"i?mul[bwlq]?$", op) and len(operands) == 1:
            value = Value(max(self.level(operands[0], state, i), state.get("rax").level))
            state.registers[FLAGS] = value
            self.put("%rax", 8, value, state, i)
            self.put("%rdx", 8, value, state, i)
            return True, None
        if op in ("cltq", "cwtl", "cltd", "cqto"):
            self.put("%rdx" if op in ("cltd", "cqto") else "%rax", 8, Value(state.get("rax").level), state, i)
            return True, None
        if not operands:
            self.find(i, "is not known to the check", Value(SECRET))
            return True, None
        self.compute(i, state)
        return True, None

    def compute(self, i, state):
        op, operands = i.operation, i.operands
        target = operands[-1]
        target_register, width = register_of(target)
        widths = [register_of(o)[1] for o in operands]
        if target_register is None:
            width = max(widths) or {"b": 1, "w": 2, "l": 4, "q": 8}.get(op[-1], 8)
        if op.startswith("lea"):
            self.put(target, 8, self.address(operands[0], state), state, i)
            return
        if op.startswith("xchg"):
            a, b = operands
            va, vb = self.value(a, width, state, i), self.value(b, width, state, i)
            self.put(a, width, vb, state, i)
            self.put(b, width, va, state, i)
            return
        if op.startswith("set"):
            width = 1
        names = [register_of(o)[0] for o in operands]
        cleared = (re.match(r"(v?p?xor|sub|v?psub|v?pcmpeq|kxn?or|v?xorp)[a-z]*$", op) and len(operands) >= 2
                   and names[0] is not None and names[0] == names[1] and "{" not in target)
        if cleared or re.match(r"vpternlog", op) and operands[0] == "$0xff":
            state.registers.pop(target_register + ".b", None)
            state.registers[target_register] = NOTHING
            if not op.startswith(("v", "p", "k")):
                state.registers[FLAGS] = NOTHING
            return
        all_are_read = NO_RESULT.match(op) or len(operands) == 1
        sources = [] if op.startswith("set") else operands if all_are_read else operands[:-1]
        loaded = {"z": 1, "s": 1}.get(op[3:4], width) if op.startswith(("movz", "movs")) else width
        values = [self.value(o, loaded if "(" in o else width, state, i) for o in sources]
        accumulates = VECTOR_ACCUMULATES.match(op) if op.startswith("v") else not ONLY_WRITES.match(op)
        accumulates = accumulates and len(operands) > 1
        if op.startswith("cmov") or len(operands) == 2 and op.startswith("v") and VECTOR_ACCUMULATES.match(op):
            accumulates = True
        if len(operands) == 3 and op.startswith(("imul", "shld", "shrd")):
            accumulates = not op.startswith("imul")
        if "{%k" in i.text and "{z}" not in i.text:
            accumulates = True
        if accumulates and not NO_RESULT.match(op):
            values.append(self.value(target.split("{")[0], width, state, i))
        for mask in re.findall(r"\{%(k\d)\}", i.text):
            values.append(Value(state.get(mask).level))
        if READS_FLAGS.match(op):
            values.append(Value(state.get(FLAGS).level))
        level, origin = higher(NOTHING, *values).level, higher(NOTHING, *values).origin
        # A comparison's mask is a secret if what is compared is not public.
        if re.match(r"vp?(cmp|test)|v?movmsk|vpmov[bdqw]2m|kmov", op) and level != PUBLIC_LEVEL:
            level = SECRET
        if WRITES_FLAGS.match(op):
            state.registers[FLAGS] = Value(level, None, origin)
        if NO_RESULT.match(op):
            return
        known = None
        moves = op.startswith("mov") and len(operands) == 2
        if moves and width == 8 or op in ("movl", "mov") and operands[0].startswith("$"):
            known = values[0].known
        elif re.match(r"(add|sub|inc|dec)q?$", op) and width == 8:
            known = self.sum(op, operands, values, state)
        elif re.match(r"andq?$", op) and target_register == "rsp":
            known = ("sp", state.get("rsp").known[1] - 0x100000)
        if re.match(r"mov[lq]?$", op) and names[0] in GPR.values() and target_register in GPR.values() and width >= 4:
            low = state.registers.get(names[0] + ".b")
            self.put(target, width, Value(level, known, origin), state, i)
            if low is not None:
                whole = state.registers.get(names[0], Value(SECRET))
                state.registers[target_register] = Value(whole.level, None, origin)
                state.registers[target_register + ".b"] = low
            return
        if op.startswith(("mulx",)):
            self.put(operands[1], 8, Value(level, None, origin), state, i)
        self.put(target, width, Value(level, known, origin), state, i)

    def sum(self, op, operands, values, state):
        negative = op.startswith(("sub", "dec"))
        if op.startswith(("inc", "dec")):
            values = [Value(PUBLIC_LEVEL, ("const", 1)), values[0]]
        if len(values) < 2:
            return None
        a, b = values[0], values[-1]
        for x, y in ((a, b), (b, a)):
            if x.known == ("base", 0) and y.level == PUBLIC_LEVEL:
                return ("base", 0)
        if a.known and a.known[0] == "const" and b.known:
            change = -a.known[1] if negative else a.known[1]
            return None if b.known[0] == "function" else (b.known[0], b.known[1] + change)
        if b.known and b.known[0] in ("sp", "near"):
            return ("near", b.known[1])
        if a.known and a.known[0] in ("sp", "near"):
            return ("near", a.known[1])
        return None

    def address(self, operand, state):
        match = MEMORY_OPERAND.match(operand)
        offset = int(match[1] or "0", 0)
        base = NOTHING if not match[2] or match[2] == "%rip" else state.get(GPR[match[2][1:]])
        index = state.get(GPR[match[3][1:]]) if match[3] and match[3][1:] in GPR else NOTHING
        level = max(base.level, index.level)
        if not match[3] and base.known and base.known[0] != "function" and match[2] != "%rip":
            return Value(level, ("base", 0) if base.known == ("base", 0) else (base.known[0], base.known[1] + offset))
        for x, y in ((base, index), (index, base)):
            if x.known == ("base", 0) and y.level == PUBLIC_LEVEL and (x is base or (match[4] or "1") == "1"):
                return Value(level, ("base", 0))
            if x.known and x.known[0] in ("sp", "near"):
                return Value(level, ("near", x.known[1] + offset))
        return Value(level, None, higher(base, index).origin)

    def level(self, operand, state, i):
        return self.value(operand, 8, state, i).level

    def value(self, operand, width, state, i):
        if operand.startswith("$"):
            return Value(PUBLIC_LEVEL, ("const", int(operand[1:], 0)))
        if operand.startswith("{"):
            return NOTHING
        register, _ = register_of(operand)
        if register:
            value = state.get(register, 1 if width == 1 and not re.match(r"%[abcd]h$", operand) else 8)
            keeps = width == 8 or value.known and value.known[0] == "const"
            return value if keeps else Value(value.level, None, value.origin)
        if "(" in operand:
            return self.load(operand, width, state, i)
        return Value(MEMORY)

    def put(self, operand, width, value, state, i):
        register, _ = register_of(operand.split("{")[0])
        if register:
            if width == 1 and register in GPR.values() and not re.match(r"%[abcd]h$", operand):
                state.registers[register + ".b"] = value
                return
            if width in (1, 2) and register in GPR.values():
                value = higher(value, state.get(register))
            state.registers.pop(register + ".b", None)
            state.registers[register] = value
        else:
            self.store(operand.split("{")[0], width, value, state, i)

    def call(self, i, state):
        address, name = i.target or (None, "")
        pointer = state.get(register_of(i.operands[0])[0]).known if i.operands and "(" not in i.operands[0] else None
        if pointer and pointer[0] == "function":
            address, name = pointer[1]
        name = self.by_address.get(address, name) or "an unknown function"
        if NEVER_RETURN.search(name) and name not in self.chosen:
            return False
        if name not in self.chosen:
            self.outside.add(name)
        sp = state.get("rsp").known
        public = PUBLIC_RESULTS.search(name) and not name in self.chosen
        if name in self.chosen:
            levels = {r: state.get(r).level for r in ARGUMENTS if r in state.registers}
            for k in range(1, 9):
                slot = state.slots.get(sp[1] + 8 * (k - 1)) if sp else None
                levels[8 * k] = slot.level if slot else PUBLIC_LEVEL
            self.enter(name, levels)
        for r in ARGUMENTS:
            known = state.get(r).known if r in state.registers else None
            if known and known[0] in ("sp", "near"):
                self.written(i, name, r, known, state, public)
        result = PUBLIC_LEVEL if public else self.results.get(name, SECRET)
        for r in list(state.registers):
            if r.split(".")[0] in CALLER_SAVED or r[0] in "vk" or r == FLAGS:
                del state.registers[r]
        state.registers["rax"] = Value(result, None, f"{i.address:x}: the result of {name}")
        second = PUBLIC_LEVEL if public else SECRET
        state.registers["rdx"] = Value(second, None, f"{i.address:x}: the second result of {name}")
        return True

    def written(self, i, name, register, known, state, public):
        """What a callee can have written on this frame is not public, unless WRITES says so."""
        call = f"{self.name} -> {name}"
        listed = [w[2:] for w in WRITES if re.fullmatch(w[1], register) and re.search(w[0], call)]
        length, ranges = listed[0] if listed else (None, [])
        if length is None:
            length = NEAR
            if name.startswith("mem"):
                count = state.get("rdx").known
                length = 0 if register != "rdi" else count[1] if count and count[0] == "const" else NEAR
            elif public:
                length, ranges = 0x18, [(0, 0x17)]
        # A whole word may begin before what is written; a part of one is another object.
        begin = {True: known[1] - 7, False: known[1]}
        for slot in [slot for slot in state.slots if begin[slot % 1 == 0] <= slot < known[1] + length]:
            if known[0] == "near":
                state.slots[slot] = joined(state.slots[slot], Value(SECRET, None, f"{i.address:x}: written by {name}"))
            else:
                del state.slots[slot]
        if known[0] == "sp":
            for first, last in ranges:
                for slot in range((known[1] + first) // 8 * 8, known[1] + last + 1, 8):
                    state.slots[slot] = NOTHING

    def enter(self, name, levels):
        entry = self.entry(levels)
        # Registers that hold no argument are of any level at a call.
        if self.entries[name] is None:
            self.entries[name] = entry
        else:
            self.entries[name].join(entry)


# How far a pointer into the middle of the frame may reach.
NEAR = 0x800


def known_levels(entries):
    def levels(values):
        return sorted((name, value.level) for name, value in values.items())

    return {n: s and [levels(s.registers), levels(s.slots)] for n, s in entries.items()}


def main():
    options = argparse.ArgumentParser(description="Finds jumps and addresses that depend on secrets.")
    options.add_argument("program")
    options.add_argument("functions", help="a regular expression")
    options.add_argument("--except", dest="left_out", default="^$", help="what of them is left out")
    options.add_argument("--reach", default="", help="functions that must be among those checked, with commas between")
    options = options.parse_args()
    functions = read_program(options.program)
    chosen = [n for n in functions if re.search(options.functions, n) and not re.search(options.left_out, n)]
    if not chosen:
        sys.exit(f"taint: no function of {options.program} matches {options.functions}")
    checker = Checker(functions, chosen)
    checker.run()
    reached = [n for n in chosen if checker.entries[n] is not None]
    missing = [n for n in options.reach.split(",") if n and not any(r.endswith(n) for r in reached)]
    for (name, address), (what, value, text) in sorted(checker.findings.items(), key=lambda finding: finding[0]):
        print(f"taint: {name}: {address:x}: {text}: {what} by a {LEVELS[value.level]} value (from {value.origin})")
    for name in missing:
        print(f"taint: {name} was not checked")
    for name in sorted(checker.outside):
        print(f"  outside the check: {name}")
    size = sum(len(functions[n]) for n in reached)
    print(f"taint: {len(reached)} functions, {size} instructions: {checker.jumps} conditional jumps, "
          f"{checker.accesses} accesses, {len(checker.findings)} findings")
    sys.exit(1 if checker.findings or missing else 0)


if __name__ == "__main__":
    main()
