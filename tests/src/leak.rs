//! Looks for digests in bytes where they must not be: raw, hexadecimal in either case, base64 at any alignment.

use std::collections::HashMap;

use veilmatch_protocol::item::Item;

/// Characters of a needle that are compared first; long enough that chance never meets one.
const KEY: usize = 12;

/// The digests that are looked for, in every form.
pub struct Needles {
    by_key: HashMap<[u8; KEY], Vec<(Vec<u8>, &'static str)>>,
}

impl Needles {
    /// Every form of every item's digest.
    #[must_use]
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut by_key: HashMap<[u8; KEY], Vec<_>> = HashMap::new();
        for item in items {
            let digest = item.digest();
            let mut forms = vec![
                (digest.to_vec(), "raw"),
                (hex::encode(digest).into_bytes(), "hex"),
                (hex::encode_upper(digest).into_bytes(), "HEX"),
            ];
            forms.extend((0..3).map(|shift| (base64(digest, shift), "base64")));
            for (form, name) in forms {
                by_key.entry(*form.first_chunk().unwrap()).or_default().push((form, name));
            }
        }
        Self { by_key }
    }

    /// The form of the first digest that is found.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<&'static str> {
        (0..bytes.len().saturating_sub(KEY - 1)).find_map(|at| {
            let candidates = self.by_key.get(&bytes[at..at + KEY])?;
            candidates.iter().find(|(form, _)| bytes[at..].starts_with(form)).map(|(_, name)| *name)
        })
    }
}

/// The characters that depend on the digest alone when `shift` other bytes stand before it.
fn base64(digest: &[u8], shift: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded = [&[0, 0][..shift], digest].concat();
    let whole = padded.chunks_exact(3).flat_map(|group| {
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        [18, 12, 6, 0].map(|at| ALPHABET[(bits >> at) as usize & 63])
    });
    // The first characters also hold bits of what stands before.
    whole.skip(if shift == 0 { 0 } else { 4 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listed;

    #[test]
    fn a_digest_is_found_in_every_form_and_another_is_not() {
        let needles = Needles::of(&[listed(1)]);
        let digest = listed(1).digest().to_vec();
        let hidden = |form: &[u8]| [&b"something before "[..], form, b" and after"].concat();
        assert_eq!(needles.find(&hidden(&digest)), Some("raw"));
        assert_eq!(needles.find(&hidden(hex::encode(&digest).as_bytes())), Some("hex"));
        assert_eq!(needles.find(&hidden(hex::encode_upper(&digest).as_bytes())), Some("HEX"));
        for before in 0..3 {
            let text = [&b"xy"[..before], &digest, b"zzz"].concat();
            let encoded: Vec<u8> = base64(&text, 0);
            assert_eq!(needles.find(&hidden(&encoded)), Some("base64"), "{before}");
        }
        assert_eq!(needles.find(&hidden(listed(2).digest())), None);
    }
}
