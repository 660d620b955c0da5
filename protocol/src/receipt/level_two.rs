//! Level 2: the opened blind shows that this platform had this item evaluated at this place of this frame (SPEC §19.3).

use zeroize::Zeroizing;

use super::{Fault, Receipt};
use crate::{
    frame::{FrameContext, FrameSize, RequestDigest, request_digest_of_root},
    item::Item,
    merkle,
    name::Origin,
    oprf::{self, AdditiveBlind, Blind, Mode},
};

/// A blind that is shown, with its form: what opens one as the other opens nothing.
#[derive(Clone)]
pub enum OpenedBlind {
    /// `mul`: element = r·HashToGroup(item), r not zero.
    Mul(Blind),
    /// `add`: element = HashToGroup(item) + r·G.
    Add(AdditiveBlind),
}

impl OpenedBlind {
    /// Takes a form and a scalar, little-endian. `None` for an unknown form, a scalar that is not canonical, and 0 as `mul`.
    #[must_use]
    pub fn danger_from_bytes(form: &str, scalar: [u8; 32]) -> Option<Self> {
        match form {
            "mul" => Blind::danger_from_bytes(scalar).map(Self::Mul),
            "add" => AdditiveBlind::danger_from_bytes(scalar).map(Self::Add),
            _ => None,
        }
    }

    /// The form's name.
    #[must_use]
    pub fn form(&self) -> &'static str {
        match self {
            Self::Mul(_) => "mul",
            Self::Add(_) => "add",
        }
    }

    /// The scalar, little-endian.
    #[must_use]
    pub fn danger_to_bytes(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Mul(blind) => blind.danger_to_bytes(),
            Self::Add(blind) => blind.danger_to_bytes(),
        }
    }
}

/// What a platform opens of one element of a frame, beside its receipt.
#[derive(Clone)]
pub struct ElementOpening {
    /// The blind of the item.
    pub blind: OpenedBlind,
    /// The blinded element.
    pub element: [u8; 32],
    /// Inclusion path of the element under the frame's `element_root`, from the leaf upwards.
    pub path: Vec<[u8; 32]>,
}

impl ElementOpening {
    /// Level 2 as a whole, for who may know the item: `n` and `req` are those of the frame in the query log.
    ///
    /// # Errors
    /// [`Fault::Element`] for every cause.
    pub fn verify(&self, receipt: &Receipt, n: FrameSize, req: &RequestDigest, item: &Item) -> Result<(), Fault> {
        self.verify_path(receipt, n, req)?;
        verify_blind(&self.blind, item, &self.element)
    }

    /// The element is at the receipt's position of the frame whose `req` this is.
    ///
    /// # Errors
    /// [`Fault::Element`].
    pub fn verify_path(&self, receipt: &Receipt, n: FrameSize, req: &RequestDigest) -> Result<(), Fault> {
        let leaf = merkle::leaf_hash(&self.element);
        let root = merkle::root_of_path(&leaf, receipt.position.into(), n.len() as u64, &self.path);
        let context = FrameContext {
            origin: Origin::of(&receipt.agency),
            list: receipt.list.clone(),
            epoch: receipt.epoch,
            platform: receipt.platform.clone(),
            batch: receipt.batch,
        };
        let shown = root.map(|root| request_digest_of_root(&context, n, &root));
        if shown == Some(*req) { Ok(()) } else { Err(Fault::Element) }
    }
}

/// The opened blind makes this element of this item.
///
/// # Security
/// Binding under discrete logarithm: nobody can open one element for two items, or an element that another drew. Not
/// against a quantum computer.
///
/// # Errors
/// [`Fault::Element`].
pub fn verify_blind(blind: &OpenedBlind, item: &Item, element: &[u8; 32]) -> Result<(), Fault> {
    let item = [item.as_bytes()];
    let made = match blind {
        OpenedBlind::Mul(blind) => oprf::blind(Mode::Voprf, &item, std::slice::from_ref(blind)),
        OpenedBlind::Add(blind) => oprf::blind_additive_with(Mode::Voprf, &item, std::slice::from_ref(blind)),
    };
    match made {
        Ok(made) if made.encodings() == [*element] => Ok(()),
        _ => Err(Fault::Element),
    }
}
