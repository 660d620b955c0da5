//! Points: on the Montgomery curve v² = u³ + 486662·u² + u, where they are multiplied, and on the twisted Edwards curve
//! −x² + y² = 1 + d·x²·y², where they are added and encoded.

use zeroize::Zeroize;

use super::{
    constants,
    field::{Carried, Mask},
};

/// Eight affine points of the Montgomery curve. The group's identity is (0, 0), the point of order two in its coset.
#[derive(Clone, Copy, Zeroize)]
pub(crate) struct Affine {
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
    /// x = c·u/v, y = (u − 1)/(u + 1), over the denominator v·(u + 1).
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn to_extended(self) -> Extended {
        let one = Carried::one();
        let (plus, minus) = (self.u.plus(&one), self.u.minus(&one));
        let cu = self.u.times(&Carried::constant(constants::EDWARDS_SCALE));
        Extended { x: cu.times(&plus), y: minus.times(&self.v), z: plus.times(&self.v), t: cu.times(&minus) }
    }

    /// Lanes that satisfy the curve's equation.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn on_curve(&self) -> Mask {
        // u³ + 486662·u² + u = u·(u·(u + 486662) + 1)
        let a = Carried::constant([486_662, 0, 0, 0, 0]);
        let right = self.u.times(&self.u.times(&self.u.plus(&a)).plus(&Carried::one()));
        self.v.square().minus(&right).canonical().is_zero()
    }
}

impl Extended {
    /// The sum of two points. Complete: no pair is exceptional (Hisil–Wong–Carter–Dawson 2008, Section 3.1).
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn plus(&self, rhs: &Self) -> Self {
        self.to_accumulator().plus(&rhs.to_addend()).to_extended()
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn doubled(&self) -> Self {
        // (Hisil–Wong–Carter–Dawson 2008, Section 3.3, a = −1): all four factors negated, so that none is.
        let (xx, yy) = (self.x.square(), self.y.square());
        let zz = self.z.square();
        let (plus, minus) = (yy.plus(&xx), yy.minus(&xx));
        let twice_xy = plus.minus(&self.x.minus(&self.y).square());
        let rest = zz.plus(&zz).minus(&minus);
        Self { x: twice_xy.times(&rest), y: plus.times(&minus), z: minus.times(&rest), t: twice_xy.times(&plus) }
    }

    /// With the neutral element (0 : 1 : 1 : 0) where all four coordinates are 0.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn with_identity(self) -> Self {
        let zero = self.z.canonical().is_zero();
        let one = Carried::one();
        Self { y: self.y.blend(zero, &one), z: self.z.blend(zero, &one), ..self }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn to_addend(self) -> Addend {
        Addend {
            sum: self.y.plus(&self.x),
            difference: self.y.minus(&self.x),
            twice_z: self.z.plus(&self.z),
            twice_dt: self.t.times(&Carried::constant(constants::TWICE_D)),
        }
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
        let y = g.times_biased(&h);
        let x = e.times_wide(&f);
        Self { sum: y.plus(&x).carry(), difference: y.minus(&x).carry(), z: f.times(&g), t: e.times(&h) }
    }

    /// (X : Y : Z : T), from which a factor 2 is kept in all four: it is harmless.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn to_extended(self) -> Extended {
        let (z, t) = (&self.z, &self.t);
        Extended { x: self.sum.minus(&self.difference), y: self.sum.plus(&self.difference), z: z.plus(z), t: t.plus(t) }
    }
}
