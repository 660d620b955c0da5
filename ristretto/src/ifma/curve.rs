//! Points, in the three shapes that a ristretto255 element has here (Hamburg 2015, Decaf; RFC 9496).
//!
//! | curve | equation | what is done there |
//! |---|---|---|
//! | Jacobi quartic | t² = s⁴ + 486662·s² + 1 | decoding and mapping arrive, encoding departs: s is the encoding's number |
//! | Montgomery | v² = u³ + 486662·u² + u | multiplication; u = s², v = s·t |
//! | twisted Edwards | −x² + y² = 1 + d·x²·y² | sums of many points; x = 2·I·s/t, y = (1 − s²)/(1 + s²), I = 1/√(a − d) |
//!
//! Going from the quartic to either curve is a 2-isogeny, and so is [`Extended::doubled_quartic`], which takes a point of
//! the Edwards curve to the point of the quartic whose image is its double. Points that differ by small torsion are one
//! element; encoding picks the one that RFC 9496 names.

use zeroize::Zeroize;

use super::{
    constants,
    field::{Carried, Mask},
};

const A: u64 = 486_662;

/// Eight affine points of the Jacobi quartic.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Affine {
    pub(crate) s: Carried,
    pub(crate) t: Carried,
}

/// Eight points of the Jacobi quartic: s = S/Z, t = T/Z². A sum may have Z = 0, see [`Projective::finite`].
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Projective {
    pub(crate) s: Carried,
    pub(crate) t: Carried,
    pub(crate) z: Carried,
}

/// Eight affine points of the Montgomery curve. The identity is (0, 0), the point of order two in its coset.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Montgomery {
    pub(crate) u: Carried,
    pub(crate) v: Carried,
}

/// Eight points of the Edwards curve: x = X/Z, y = Y/Z, T = X·Y/Z. All four are 0 where the ladder met the identity.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Extended {
    pub(crate) x: Carried,
    pub(crate) y: Carried,
    pub(crate) z: Carried,
    pub(crate) t: Carried,
}

/// A point that is added to others: (Y + X, Y − X, 2·Z, 2·d·T).
#[derive(Clone, Copy)]
pub(crate) struct Addend {
    pub(crate) sum: Carried,
    pub(crate) difference: Carried,
    pub(crate) twice_z: Carried,
    pub(crate) twice_dt: Carried,
}

/// A point to which others are added: (Y + X, Y − X, Z, T).
#[derive(Clone, Copy)]
pub(crate) struct Accumulator {
    pub(crate) sum: Carried,
    pub(crate) difference: Carried,
    pub(crate) z: Carried,
    pub(crate) t: Carried,
}

impl Affine {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn to_projective(self) -> Projective {
        Projective { s: self.s, t: self.t, z: Carried::one() }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn to_montgomery(self) -> Montgomery {
        Montgomery { u: self.s.square(), v: self.s.times(&self.t) }
    }

    /// Lanes that satisfy the curve's equation.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn on_curve(&self) -> Mask {
        let s2 = self.s.square();
        let right = s2.times(&s2.plus(&Carried::constant([A, 0, 0, 0, 0]))).plus(&Carried::one());
        self.t.square().minus(&right).canonical().is_zero()
    }
}

impl Projective {
    /// The sum of two points (Hisil–Wong–Carter–Dawson 2009, Jacobi quartic curves revisited, unified addition):
    ///
    /// ```text
    /// s3 = (s1·t2 + t1·s2)/(1 − s1²·s2²)
    /// t3 = ((1 + s1²·s2²)·(t1·t2 + A·s1·s2) + 2·s1·s2·(s1² + s2²))/(1 − s1²·s2²)²
    /// ```
    ///
    /// The denominator is 0 where s1·s2 = ±1, that is where both points are the same element or each other's negative, in
    /// shapes that differ by torsion. There (1/s1, −t1/s1²) is taken for the first point: it is the same element, and as
    /// S1 and Z1 then change places, so do the four products below. Where s1 and s2 are both ±1 the other shape is no better
    /// for half of the signs: all three coordinates of the sum, which is the identity, are then 0. Only sums of two mapped
    /// points can meet this, since no decoded element and no table's multiple has s = ±1.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn plus(&self, rhs: &Self) -> Self {
        let (zz, ss) = (self.z.times(&rhs.z), self.s.times(&rhs.s));
        let (sz, zs) = (self.s.times(&rhs.z), self.z.times(&rhs.s));
        let product = zz.times(&ss);
        let (zz, ss, sz, zs) = (zz.square(), ss.square(), sz.square(), zs.square());
        let exceptional = zz.minus(&ss).canonical().is_zero();
        let (zz, ss, sz, zs) = (
            zz.blend(exceptional, &sz),
            ss.blend(exceptional, &zs),
            sz.blend(exceptional, &zz),
            zs.blend(exceptional, &ss),
        );
        let t1 = self.t.negated_where(exceptional);

        let (sz1, sz2) = (self.s.times(&self.z), rhs.s.times(&rhs.z));
        let inner = product.times_small_plus(A, &t1.times(&rhs.t)).carry();
        let outer = product.plus(&product);
        Self {
            s: sz1.times_wide(&rhs.t).plus(&sz2.times_wide(&t1)).carry(),
            t: zz.plus(&ss).times_wide(&inner).plus(&outer.times_wide(&sz.plus(&zs))).carry(),
            z: zz.minus(&ss),
        }
    }

    /// The same elements with Z ≠ 0. A point at infinity is the identity, and so is what [`Self::plus`] gives by three
    /// zeros; left as it is, that would turn everything that it is added to into zeros.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn finite(self) -> Self {
        let (infinite, one) = (self.z.canonical().is_zero(), Carried::one());
        Self {
            s: self.s.blend(infinite, &Carried::zero()),
            t: self.t.blend(infinite, &one),
            z: self.z.blend(infinite, &one),
        }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn negated(self) -> Self {
        Self { s: self.s.negated(), ..self }
    }

    /// (X : Y : Z : T) = (2·I·SZ·(Z² + S²) : T·(Z² − S²) : T·(Z² + S²) : 2·I·SZ·(Z² − S²))
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn to_extended(self) -> Extended {
        let (ss, zz) = (self.s.square(), self.z.square());
        let scaled = self.s.times(&self.z).times(&Carried::constant(constants::TWICE_INVSQRT_A_MINUS_D));
        let (plus, minus) = (zz.plus(&ss), zz.minus(&ss));
        Extended { x: scaled.times(&plus), y: self.t.times(&minus), z: self.t.times(&plus), t: scaled.times(&minus) }
    }
}

impl Extended {
    /// The sum of two points. Complete: no pair is exceptional (Hisil–Wong–Carter–Dawson 2008, Section 3.1).
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn plus(&self, rhs: &Self) -> Self {
        self.to_accumulator().plus(&rhs.to_addend()).to_extended()
    }

    /// The double, on the Edwards curve (Hisil–Wong–Carter–Dawson 2008, Section 3.3, all four coordinates negated).
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn doubled(&self) -> Self {
        let (xx, yy, zz) = (self.x.square(), self.y.square(), self.z.square());
        let (plus, minus) = (yy.plus(&xx), yy.minus(&xx));
        let twice_xy = plus.minus(&self.x.minus(&self.y).square());
        let rest = zz.plus(&zz).minus(&minus);
        Self { x: twice_xy.times(&rest), y: plus.times(&minus), z: minus.times(&rest), t: twice_xy.times(&plus) }
    }

    /// The double, on the Jacobi quartic: the isogeny that needs no square root, so that whoever multiplies by half a
    /// scalar encodes without one (the doubled encoding of curve25519-dalek).
    ///
    /// ```text
    /// e = 2XY    f = Z² + dT²    g = Y² + X²    h = Z² − dT²
    /// (S : T : Z) = (e : 2·I·f·Z : I·(h + g))
    /// ```
    ///
    /// S and Z are 0 where the double is the identity in the shape (±√−1, 0), and where all coordinates are 0; the neutral
    /// element (0 : 1 : 1) is put there.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn doubled_quartic(&self) -> Projective {
        let s = self.x.plus(&self.x).times(&self.y);
        let g = self.x.square_wide().plus(&self.y.square_wide()).carry();
        let zz = self.z.square_biased();
        let dtt = self.t.square().times_wide(&Carried::constant(constants::D));
        let (f, h) = (zz.plus(&dtt).carry(), zz.minus(&dtt).carry());
        let z = h.plus(&g).times(&Carried::constant(constants::INVSQRT_A_MINUS_D));
        let t = f.times(&Carried::constant(constants::TWICE_INVSQRT_A_MINUS_D)).times(&z);
        let (identity, one) = (z.canonical().is_zero(), Carried::one());
        Projective { s, t: t.blend(identity, &one), z: z.blend(identity, &one) }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn to_addend(self) -> Addend {
        self.to_accumulator().to_addend()
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn to_accumulator(self) -> Accumulator {
        Accumulator { sum: self.y.plus(&self.x), difference: self.y.minus(&self.x), z: self.z, t: self.t }
    }
}

impl Accumulator {
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn identity() -> Self {
        let one = Carried::one();
        Self { sum: one, difference: one, z: one, t: Carried::zero() }
    }

    /// Adds a point, complete as [`Extended::plus`].
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn plus(&self, rhs: &Addend) -> Self {
        let b = self.sum.times_biased(&rhs.sum);
        let a = self.difference.times_wide(&rhs.difference);
        let (e, h) = (b.minus(&a).carry(), b.plus(&a).carry());
        let d = self.z.times_biased(&rhs.twice_z);
        let c = self.t.times_wide(&rhs.twice_dt);
        let (f, g) = (d.minus(&c).carry(), d.plus(&c).carry());
        // X = E·F, Y = G·H, Z = F·G, T = E·H
        let y = g.times_biased(&h);
        let x = e.times_wide(&f);
        Self { sum: y.plus(&x).carry(), difference: y.minus(&x).carry(), z: f.times(&g), t: e.times(&h) }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn to_addend(self) -> Addend {
        Addend {
            sum: self.sum,
            difference: self.difference,
            twice_z: self.z.plus(&self.z),
            twice_dt: self.t.times(&Carried::constant(constants::TWICE_D)),
        }
    }

    /// (X : Y : Z : T), all with a factor 2.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn to_extended(self) -> Extended {
        let (z, t) = (&self.z, &self.t);
        Extended { x: self.sum.minus(&self.difference), y: self.sum.plus(&self.difference), z: z.plus(z), t: t.plus(t) }
    }
}
