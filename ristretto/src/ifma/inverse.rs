//! Montgomery's trick: the inverses of many elements for one inversion and three products each, in every lane.

use zeroize::{Zeroize, Zeroizing};

use super::field::{Carried, Mask};

/// A stack of elements whose inverses come off in turn. The inverse of 0 is 0.
pub(crate) struct Inverses {
    // With 1 in place of 0, and the lanes where that is so.
    elements: Zeroizing<Vec<Carried>>,
    zeros: Vec<Mask>,
    // Product i is that of the elements before i.
    products: Zeroizing<Vec<Carried>>,
    // Product of all elements while they are pushed, its inverse while they are popped.
    running: Option<Carried>,
    inverted: bool,
}

impl Inverses {
    /// Makes place, so that no copy is left behind by growing.
    pub(crate) fn with_capacity(n: usize) -> Self {
        Self {
            elements: Zeroizing::new(Vec::with_capacity(n)),
            zeros: Vec::with_capacity(n),
            products: Zeroizing::new(Vec::with_capacity(n)),
            running: None,
            inverted: false,
        }
    }

    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn push(&mut self, element: &Carried) {
        debug_assert!(!self.inverted && self.elements.len() < self.elements.capacity(), "pushed first, place made");
        let one = Carried::one();
        let zero = element.canonical().is_zero();
        let element = element.blend(zero, &one);
        let running = self.running.unwrap_or(one);
        self.zeros.push(zero);
        self.elements.push(element);
        self.products.push(running);
        self.running = Some(running.times(&element));
    }

    /// The inverse of the element pushed last of those that are left.
    #[target_feature(enable = "avx512dq,avx512ifma")]
    pub(crate) fn pop(&mut self) -> Carried {
        let mut running = self.running.unwrap_or(Carried::one());
        if !self.inverted {
            running = running.inverted();
            self.inverted = true;
        }
        let element = self.elements.pop().unwrap_or(Carried::one());
        let before = self.products.pop().unwrap_or(Carried::one());
        let zero = self.zeros.pop().unwrap_or(0);
        self.running = Some(running.times(&element));
        running.times(&before).blend(zero, &Carried::zero())
    }
}

impl Drop for Inverses {
    fn drop(&mut self) {
        self.running.zeroize();
    }
}
