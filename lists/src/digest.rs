//! The text of one digest becomes an item.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use veilmatch_protocol::item::{Item, Kind};

use crate::Quarantine;

/// What a length says about the kind where neither the row nor the operator names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// The layout is that of programs which write cryptographic digests only, so each length has one meaning.
    Cryptographic,
    /// The digest may be any program's: 32 digits are MD5 or a truncated PDQ, 64 are SHA-256 or PDQ.
    Any,
}

/// Reads one digest: hexadecimal in either case, or base64 with or without padding.
pub(crate) fn item(text: &[u8], kind: Option<Kind>, lengths: Lengths) -> Result<Item, Quarantine> {
    let text = trim(text);
    let kind = match kind {
        Some(kind) => kind,
        None => kind_by_length(text, lengths)?,
    };
    let mut bytes = [0; 64];
    let digest = &mut bytes[..kind.digest_len()];
    if is_hexadecimal(text) {
        hexadecimal(text, digest).ok_or(Quarantine::WrongLength)?;
    } else {
        base64(text, digest).ok_or(Quarantine::BadHex)?;
    }
    if digest.iter().all(|byte| *byte == digest[0]) {
        return Err(Quarantine::ConstantDigest);
    }
    if *digest == *empty_file(kind) {
        return Err(Quarantine::EmptyFileDigest);
    }
    Ok(Item::new(kind, digest).expect("the digest has its kind's length"))
}

/// Whether a text has the length and the characters of some digest.
pub(crate) fn looks_like_one(text: &[u8]) -> bool {
    let text = trim(text);
    matches!(lengths_of(text), Some(Length::Of(_) | Length::PhotoDna))
}

/// The kind with this name as tools write it: `SHA-256`, `SHA2-256`, `sha_256`, `video_md5`.
pub(crate) fn kind_named(name: &[u8]) -> Result<Kind, Quarantine> {
    let name = name.strip_prefix(b"video_").unwrap_or(name);
    let name: Vec<u8> = name.iter().filter(|byte| !b"-_".contains(byte)).map(u8::to_ascii_lowercase).collect();
    match &name[..] {
        b"md5" => Ok(Kind::Md5),
        b"sha1" => Ok(Kind::Sha1),
        b"sha256" | b"sha2256" => Ok(Kind::Sha256),
        b"sha512" | b"sha2512" => Ok(Kind::Sha512),
        _ => Err(Quarantine::UnsupportedKind),
    }
}

/// The text without blanks, trailing commas and `0x`.
fn trim(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    while let Some(shorter) = text.strip_suffix(b",") {
        text = shorter.trim_ascii_end();
    }
    text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text)
}

enum Length {
    Of(Kind),
    PhotoDna,
}

fn lengths_of(text: &[u8]) -> Option<Length> {
    const PHOTO_DNA: usize = 144;
    let decoded = if is_hexadecimal(text) {
        text.len().is_multiple_of(2).then_some(text.len() / 2)?
    } else if text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)) {
        let digits = text.iter().rposition(|byte| *byte != b'=')? + 1;
        digits * 3 / 4
    } else {
        return None;
    };
    match decoded {
        PHOTO_DNA => Some(Length::PhotoDna),
        _ => Kind::ALL.into_iter().find(|kind| kind.digest_len() == decoded).map(Length::Of),
    }
}

fn kind_by_length(text: &[u8], lengths: Lengths) -> Result<Kind, Quarantine> {
    match lengths_of(text) {
        Some(Length::Of(Kind::Md5 | Kind::Sha256)) if lengths == Lengths::Any => Err(Quarantine::AmbiguousKind),
        Some(Length::Of(kind)) => Ok(kind),
        Some(Length::PhotoDna) => Err(Quarantine::UnsupportedKind),
        None if is_hexadecimal(text) => Err(Quarantine::WrongLength),
        None => Err(Quarantine::BadHex),
    }
}

/// Base64 of a digest has other characters too, but for one in billions, which is then set aside for its length.
fn is_hexadecimal(text: &[u8]) -> bool {
    // Without a way out in between, many characters are looked at in one step.
    !text.is_empty() && text.iter().fold(0, |seen, &byte| seen | digit(byte)) < 16
}

fn hexadecimal(text: &[u8], digest: &mut [u8]) -> Option<()> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != digest.len() {
        return None;
    }
    let mut seen = 0;
    for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
        let (high, low) = (digit(high), digit(low));
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(())
}

/// The value of a hexadecimal digit, or 0xff.
fn digit(byte: u8) -> u8 {
    let (number, letter) = (byte.wrapping_sub(b'0'), (byte | 0x20).wrapping_sub(b'a'));
    if number < 10 {
        number
    } else if letter < 6 {
        letter + 10
    } else {
        0xff
    }
}

fn base64(text: &[u8], digest: &mut [u8]) -> Option<()> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut decoded = [0; 80];
    let len = ENGINE.decode_slice(text, &mut decoded).ok().filter(|len| *len == digest.len())?;
    digest.copy_from_slice(&decoded[..len]);
    Some(())
}

fn empty_file(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Md5 => b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e",
        Kind::Sha1 => b"\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef\x95\x60\x18\x90\xaf\xd8\x07\x09",
        Kind::Sha256 => {
            b"\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24\
              \x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55"
        }
        Kind::Sha512 => {
            b"\xcf\x83\xe1\x35\x7e\xef\xb8\xbd\xf1\x54\x28\x50\xd6\x6d\x80\x07\
              \xd6\x20\xe4\x05\x0b\x57\x15\xdc\x83\xf4\xa9\x21\xd3\x6c\xe9\xce\
              \x47\xd0\xd1\x3c\x5d\x85\xf2\xb0\xff\x83\x18\xd2\x87\x7e\xec\x2f\
              \x63\xb9\x31\xbd\x47\x41\x7a\x81\xa5\x38\x32\x7a\xf9\x27\xda\x3e"
        }
    }
}

#[cfg(test)]
mod tests;
