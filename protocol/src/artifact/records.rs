//! From evaluations to published records, many at once (SPEC §7.2, §7.5).

use std::sync::LazyLock;

use veilmatch_ristretto::Sha512Many;
use zeroize::Zeroizing;

use super::{Layout, TAG_LEN};
use crate::{
    Error,
    derive::Okm,
    label::{NONCE_DOMAIN, NONCE_LEN, PAD_DOMAIN},
};

/// The records of entries, one behind the other, in the order given: tag ‖ nonce ‖ sealed label.
///
/// # Errors
/// [`Error::LabelLength`] if a label has not the layout's length.
///
/// # Panics
/// If there is not one label per evaluation.
pub fn records(layout: Layout, okms: &[Okm], labels: &[&[u8]]) -> Result<Vec<u8>, Error> {
    static NONCE: LazyLock<Sha512Many> = LazyLock::new(|| Sha512Many::new(NONCE_DOMAIN));
    static PAD: LazyLock<Sha512Many> = LazyLock::new(|| Sha512Many::new(PAD_DOMAIN));
    const LABEL_AT: usize = TAG_LEN + NONCE_LEN;

    assert_eq!(okms.len(), labels.len(), "one label per evaluation");
    if labels.iter().any(|label| label.len() != usize::from(layout.label_bytes())) {
        return Err(Error::LabelLength);
    }
    let length = layout.record_len();
    let mut out = vec![0; okms.len() * length];
    for (record, okm) in out.chunks_exact_mut(length).zip(okms) {
        record[..TAG_LEN].copy_from_slice(&okm.tag().0);
    }
    if layout.label_bytes() == 0 {
        return Ok(out);
    }
    let mut digests = Zeroizing::new(vec![[0; 64]; okms.len()]);
    NONCE.digests(&mut digests, |i, message| {
        message.extend(okms[i].label_half());
        message.extend(labels[i]);
    });
    for (record, digest) in out.chunks_exact_mut(length).zip(&*digests) {
        record[TAG_LEN..LABEL_AT].copy_from_slice(&digest[..NONCE_LEN]);
    }
    PAD.digests(&mut digests, |i, message| {
        message.extend(okms[i].label_half());
        message.extend(&out[i * length + TAG_LEN..][..NONCE_LEN]);
    });
    for ((record, pad), label) in out.chunks_exact_mut(length).zip(&*digests).zip(labels) {
        for ((sealed, pad), label) in record[LABEL_AT..].iter_mut().zip(pad).zip(*label) {
            *sealed = label ^ pad;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label;

    #[test]
    fn many_records_are_what_each_entry_gives_by_itself() {
        // SPEC §7.2, §7.5
        let okms: Vec<Okm> = (0..19).map(|n| Okm::danger_from_bytes([n; 64])).collect();
        for length in [0, 1, 4, 17, 64] {
            let layout = Layout::new(length).unwrap();
            let labels: Vec<Vec<u8>> = (0..19).map(|n| vec![n ^ 0x5a; usize::from(length)]).collect();
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            let made = records(layout, &okms, &labels).unwrap();
            let want = okms
                .iter()
                .zip(&labels)
                .flat_map(|(okm, label)| [&okm.tag().0[..], &label::seal(&okm.label_key(), label).unwrap()].concat());
            assert_eq!(made, want.collect::<Vec<u8>>(), "labels of {length}");
        }
        let layout = Layout::new(4).unwrap();
        assert_eq!(records(layout, &okms[..2], &[b"four", b"three"]), Err(Error::LabelLength));
    }
}
