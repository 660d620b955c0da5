"""ristretto255 (RFC 9496) and Ed25519 verification (RFC 8032), from the RFCs, in plain integers.

Shares no code with the crates: that is its purpose. Variable time, for public values and test keys only.
"""

from hashlib import sha512

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def is_negative(x):
    return x & 1


def absolute(x):
    return P - x if is_negative(x) else x


def sqrt_ratio(u, v):
    """RFC 9496, Section 4.2: (whether u/v is a square, its non-negative root or that of i·u/v)."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    correct, flipped, flipped_i = check == u % P, check == -u % P, check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, absolute(r)


ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P
SQRT_AD_MINUS_ONE = sqrt_ratio((-D - 1) % P, 1)[1]
if SQRT_AD_MINUS_ONE != 25063068953384623474111414158702152701244531502492656460079210482610430750235:
    SQRT_AD_MINUS_ONE = P - SQRT_AD_MINUS_ONE
INVSQRT_A_MINUS_D = sqrt_ratio(1, (-1 - D) % P)[1]


class Point:
    """A point of edwards25519 in extended coordinates, standing for its ristretto255 element."""

    def __init__(self, x, y, z=1, t=None):
        self.x, self.y, self.z = x, y, z
        self.t = x * y % P if t is None else t

    def __add__(self, other):
        a = (self.y - self.x) * (other.y - other.x) % P
        b = (self.y + self.x) * (other.y + other.x) % P
        c = 2 * self.t * other.t * D % P
        d = 2 * self.z * other.z % P
        e, f, g, h = b - a, d - c, d + c, b + a
        return Point(e * f % P, g * h % P, f * g % P, e * h % P)

    def __rmul__(self, scalar):
        total, power = IDENTITY, self
        while scalar:
            if scalar & 1:
                total = total + power
            power, scalar = power + power, scalar >> 1
        return total

    def encode(self):
        """RFC 9496, Section 4.3.2."""
        u1 = (self.z + self.y) * (self.z - self.y) % P
        u2 = self.x * self.y % P
        _, inverse_root = sqrt_ratio(1, u1 * u2 * u2 % P)
        den1, den2 = inverse_root * u1 % P, inverse_root * u2 % P
        z_inv = den1 * den2 * self.t % P
        x, y, den = self.x, self.y, den2
        if is_negative(self.t * z_inv % P):
            x, y, den = self.y * SQRT_M1 % P, self.x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
        if is_negative(x * z_inv % P):
            y = -y % P
        return absolute(den * (self.z - y) % P).to_bytes(32, "little")


IDENTITY = Point(0, 1)


def decode(encoding):
    """RFC 9496, Section 4.3.1, and SPEC §4.2: the element, or None if it is refused."""
    s = int.from_bytes(encoding, "little")
    if len(encoding) != 32 or s >= P or is_negative(s) or s == 0:
        return None
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, inverse_root = sqrt_ratio(1, v * u2 * u2 % P)
    den_x, den_y = inverse_root * u2 % P, inverse_root * inverse_root * u2 * v % P
    x, y = absolute(2 * s * den_x % P), u1 * den_y % P
    if not square or is_negative(x * y % P) or y == 0:
        return None
    return Point(x, y)


def one_way_map(uniform):
    """RFC 9496, Section 4.3.4: an element from 64 uniform bytes."""

    def half(part):
        t = int.from_bytes(part, "little") % 2**255 % P
        r = SQRT_M1 * t * t % P
        u = (r + 1) * ONE_MINUS_D_SQ % P
        v = (-1 - r * D) * (r + D) % P
        square, s = sqrt_ratio(u, v)
        if not square:
            s = -absolute(s * t % P) % P
        c = P - 1 if square else r
        n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
        w0, w1, w2, w3 = 2 * s * v, n * SQRT_AD_MINUS_ONE, 1 - s * s, 1 + s * s
        return Point(w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P)

    return half(uniform[:32]) + half(uniform[32:])


GENERATOR = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))


def scalar(encoding):
    """SPEC §4.2: a canonical scalar, or None."""
    value = int.from_bytes(encoding, "little")
    return value if len(encoding) == 32 and value < L else None


def ed25519_point(encoding):
    y = int.from_bytes(encoding, "little") % 2**255
    square, x = sqrt_ratio((y * y - 1) % P, (D * y * y + 1) % P)
    if y >= P or not square:
        return None
    if is_negative(x) != encoding[31] >> 7:
        x = -x % P
    return Point(x, y)


ED25519_BASE = ed25519_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verifies(public_key, message, signature):
    """RFC 8032, Section 5.1.7, without the cofactor, refusing points of small order (SPEC §6.5)."""

    def small(point):
        point = 8 * point
        return point.x % P == 0 and (point.y - point.z) % P == 0

    r, key, s = ed25519_point(signature[:32]), ed25519_point(public_key), scalar(signature[32:])
    if len(signature) != 64 or r is None or key is None or s is None or small(r) or small(key):
        return False
    h = int.from_bytes(sha512(signature[:32] + public_key + message).digest(), "little") % L
    left, right = s * ED25519_BASE, r + h * key
    return (left.x * right.z - right.x * left.z) % P == 0 and (left.y * right.z - right.y * left.z) % P == 0


def ed25519_public_key(secret_key):
    a = int.from_bytes(sha512(secret_key).digest()[:32], "little")
    a = a & (2**254 - 8) | 2**254
    point = a * ED25519_BASE
    z = pow(point.z, -1, P)
    return (point.y * z % P | is_negative(point.x * z % P) << 255).to_bytes(32, "little")
