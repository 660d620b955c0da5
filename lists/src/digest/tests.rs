use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256, Sha512};

use super::{digit as digit_of, *};

fn digest(kind: Kind) -> Vec<u8> {
    Sha512::digest(b"synthetic")[..kind.digest_len()].to_vec()
}

fn read(text: impl AsRef<[u8]>) -> Result<Item, Quarantine> {
    item(text.as_ref(), None, Lengths::Cryptographic)
}

#[test]
fn every_spelling_of_a_digest_gives_the_same_item() {
    for kind in Kind::ALL {
        let digest = digest(kind);
        let expected = Item::new(kind, &digest).unwrap();
        let lower = hex::encode(&digest);
        let (upper, prefixed, trailed) = (lower.to_uppercase(), format!("0x{lower}"), format!("\t 0X{lower} ,, "));
        let (padded, unpadded) = (BASE64_STANDARD.encode(&digest), BASE64_STANDARD_NO_PAD.encode(&digest));
        for text in [lower, upper, prefixed, trailed, padded, unpadded] {
            assert_eq!(read(&text), Ok(expected.clone()), "{text}");
            assert_eq!(item(text.as_bytes(), Some(kind), Lengths::Any), Ok(expected.clone()), "{text}");
        }
    }
}

#[test]
fn a_character_is_a_digit_where_the_standard_library_says_so() {
    for byte in 0..=255 {
        let expected = char::from(byte).to_digit(16).map_or(0xff, |digit| u8::try_from(digit).unwrap());
        assert_eq!(digit_of(byte), expected, "{byte}");
    }
}

#[test]
fn a_digest_of_another_length_is_quarantined() {
    for len in (0..300).filter(|len| ![32, 40, 64, 128, 288].contains(len)) {
        let text: String = "4f".chars().cycle().take(len).collect();
        let expected = if len == 0 { Quarantine::BadHex } else { Quarantine::WrongLength };
        assert_eq!(read(&text), Err(expected), "{len}");
    }
    assert_eq!(item(&[b'a'; 40], Some(Kind::Md5), Lengths::Any), Err(Quarantine::WrongLength));
}

#[test]
fn a_wrong_character_is_quarantined_wherever_it_stands() {
    let text = hex::encode(digest(Kind::Sha256));
    for place in 0..text.len() {
        for wrong in [b'g', b' ', b'-', 0, 0xff] {
            let mut text = text.clone().into_bytes();
            text[place] = wrong;
            assert!(item(&text, Some(Kind::Sha256), Lengths::Any).is_err());
            assert!(read(&text).is_err(), "{place} {wrong}");
        }
    }
    assert_eq!(read("zz".repeat(32)), Err(Quarantine::BadHex));
}

#[test]
fn lengths_with_two_meanings_are_ambiguous_unless_the_layout_or_the_operator_decides() {
    for kind in Kind::ALL {
        let text = hex::encode(digest(kind));
        let ambiguous = matches!(kind, Kind::Md5 | Kind::Sha256);
        let any = item(text.as_bytes(), None, Lengths::Any);
        assert_eq!(any.err(), ambiguous.then_some(Quarantine::AmbiguousKind));
        assert!(read(&text).is_ok());
        assert!(item(text.as_bytes(), Some(kind), Lengths::Any).is_ok());
    }
}

#[test]
fn a_photodna_signature_is_of_an_unsupported_kind() {
    assert_eq!(read("1f".repeat(144)), Err(Quarantine::UnsupportedKind));
    assert_eq!(read(BASE64_STANDARD.encode([0x1f; 144])), Err(Quarantine::UnsupportedKind));
}

#[test]
fn placeholders_are_quarantined() {
    for kind in Kind::ALL {
        for digit in ["0", "1", "f", "F", "a"] {
            let text = digit.repeat(2 * kind.digest_len());
            assert_eq!(item(text.as_bytes(), Some(kind), Lengths::Any), Err(Quarantine::ConstantDigest));
        }
    }
}

#[test]
fn the_digest_of_the_empty_file_is_quarantined() {
    assert_eq!(empty_file(Kind::Sha256), &Sha256::digest([])[..]);
    assert_eq!(empty_file(Kind::Sha512), &Sha512::digest([])[..]);
    assert_eq!(hex::encode(empty_file(Kind::Md5)), "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(hex::encode(empty_file(Kind::Sha1)), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    for kind in Kind::ALL {
        assert_eq!(read(hex::encode_upper(empty_file(kind))), Err(Quarantine::EmptyFileDigest));
    }
}

#[test]
fn kind_names_are_read_as_tools_write_them() {
    for (name, kind) in [
        ("md5", Kind::Md5),
        ("MD5", Kind::Md5),
        ("video_md5", Kind::Md5),
        ("SHA1", Kind::Sha1),
        ("sha-1", Kind::Sha1),
        ("SHA2-256", Kind::Sha256),
        ("sha_256", Kind::Sha256),
        ("SHA512", Kind::Sha512),
    ] {
        assert_eq!(kind_named(name.as_bytes()), Ok(kind));
    }
    for name in ["", "pdq", "SHA3-256", "SHA512/256", "SHA2-512/256", "BLAKE2b", "BLAKE2b-256", "SM3", "HMAC-SHA256"] {
        assert_eq!(kind_named(name.as_bytes()), Err(Quarantine::UnsupportedKind), "{name}");
    }
}
