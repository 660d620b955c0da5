//! Signed notes (C2SP signed-note v1.0.0) with Ed25519 keys, type 0x01 (SPEC §8.3).

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::{Error, prepared::PreparedKey};

/// Type byte of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 0x01;

/// Longest note that is read.
pub const MAX_NOTE_LEN: usize = 16 * 1_024;

/// Most signature lines that are read.
const MAX_SIGNATURES: usize = 100;

/// A key that notes are verified with: a name and an Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: Arc<PreparedKey>,
}

impl Verifier {
    /// The verifier of `name` for `key`.
    ///
    /// # Errors
    /// [`Error::Note`] if the name is empty or has blanks or a plus sign.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: Arc::new(PreparedKey::new(key)) })
    }

    /// Reads `name+hhhhhhhh+base64(type ‖ key)`, the C2SP verifier key.
    ///
    /// # Errors
    /// [`Error::Note`] if the form, the type or the key id is not right.
    pub fn parse(vkey: &str) -> Result<Self, Error> {
        let (name, ED25519, key) = read_vkey(vkey)? else { return Err(Error::Note) };
        Self::new(name, VerifyingKey::try_from(&key[..]).map_err(|_| Error::Note)?)
    }

    /// The same key under another name: one key serves all shards of a log (SPEC §17.2).
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn renamed(&self, name: &str) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: Arc::clone(&self.key) })
    }

    /// The name that signature lines carry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        self.key.key()
    }

    /// First four bytes of SHA-256(name ‖ newline ‖ type ‖ key).
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519, self.key().as_bytes())
    }
}

/// First four bytes of SHA-256(name ‖ newline ‖ type ‖ key): what signature lines and verifier keys call a key by.
#[must_use]
pub fn key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', kind]).chain_update(key).finalize();
    hash[..4].try_into().expect("SHA-256 gives 32 bytes")
}

/// Writes `name+hhhhhhhh+base64(type ‖ key)`.
#[must_use]
pub fn vkey(name: &str, kind: u8, key: &[u8]) -> String {
    format!("{name}+{}+{}", hex_id(key_id(name, kind, key)), STANDARD.encode([&[kind], key].concat()))
}

/// Reads a verifier key of any type: name, type and key, of which the id is right.
///
/// # Errors
/// [`Error::Note`] for another form, a name with blanks, or a wrong id.
pub fn read_vkey(vkey: &str) -> Result<(&str, u8, Vec<u8>), Error> {
    let mut parts = vkey.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::Note);
    };
    check_name(name)?;
    let mut key = STANDARD.decode(key).map_err(|_| Error::Note)?;
    if key.is_empty() {
        return Err(Error::Note);
    }
    let kind = key.remove(0);
    if hex_id(key_id(name, kind, &key)) == id { Ok((name, kind, key)) } else { Err(Error::Note) }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&vkey(&self.name, ED25519, self.key().as_bytes()))
    }
}

/// Signs a text that ends with a newline: text, empty line, signature line.
///
/// # Errors
/// [`Error::Note`] if the text has other control characters or no newline at its end, or the name is not legal.
pub fn sign(text: &str, name: &str, key: &SigningKey) -> Result<String, Error> {
    check_text(text)?;
    let verifier = Verifier::new(name, key.verifying_key())?;
    let signature = key.sign(text.as_bytes()).to_bytes();
    Ok(format!("{text}\n{}", signature_line(name, verifier.key_id(), &signature)))
}

/// A signature line with its newline, as it stands behind the empty line of a note.
#[must_use]
pub fn signature_line(name: &str, id: [u8; 4], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", STANDARD.encode([&id[..], signature].concat()))
}

/// Gives the text of a note that `verifier` signed. Lines of unknown keys are ignored; a line of the known key that does
/// not verify rejects the note.
///
/// # Errors
/// [`Error::Note`] for every cause: form, length, no line of the key, a signature that fails.
pub fn open<'a>(note: &'a [u8], verifier: &Verifier) -> Result<&'a str, Error> {
    Note::parse(note)?.verify(verifier)
}

/// A note whose form was checked and whose signatures were not.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    text: &'a str,
    lines: Vec<SignatureLine<'a>>,
}

/// One signature line of a note. Whose it is, and whether it is right, is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    /// The name of the key.
    pub name: &'a str,
    /// The id of the key.
    pub id: [u8; 4],
    /// What stands behind the id; not empty.
    pub signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Splits a note into its text and its signature lines.
    ///
    /// # Errors
    /// [`Error::Note`] for another form or length.
    pub fn parse(note: &'a [u8]) -> Result<Self, Error> {
        if note.len() > MAX_NOTE_LEN {
            return Err(Error::Note);
        }
        let note = str::from_utf8(note).map_err(|_| Error::Note)?;
        let split = note.rfind("\n\n").ok_or(Error::Note)? + 1;
        let (text, signatures) = (&note[..split], &note[split + 1..]);
        check_text(text)?;
        Ok(Self { text, lines: read_signature_lines(signatures)? })
    }

    /// The text that was signed, with its last newline.
    ///
    /// # Security
    /// Nobody has vouched for it before [`Note::verify`].
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines in order, of known and of unknown keys.
    #[must_use]
    pub fn lines(&self) -> &[SignatureLine<'a>] {
        &self.lines
    }

    /// The lines of the key with this name and id.
    pub fn lines_of(&self, name: &str, id: [u8; 4]) -> impl Iterator<Item = &SignatureLine<'a>> {
        self.lines.iter().filter(move |line| line.name == name && line.id == id)
    }

    /// Gives the text if `verifier` signed it and none of its lines fails. Several verifiers: ask one after the other.
    ///
    /// # Errors
    /// [`Error::Note`] if there is no line of the key, or one that fails.
    pub fn verify(&self, verifier: &Verifier) -> Result<&'a str, Error> {
        let mut verified = false;
        for line in self.lines_of(&verifier.name, verifier.key_id()) {
            let signature = Signature::from_slice(&line.signature).map_err(|_| Error::Note)?;
            if !verifier.key.verifies(self.text.as_bytes(), &signature) {
                return Err(Error::Note);
            }
            verified = true;
        }
        if verified { Ok(self.text) } else { Err(Error::Note) }
    }
}

/// Reads what stands behind the empty line of a note, or what a witness answers: one signature line or more.
///
/// # Errors
/// [`Error::Note`] for another form, none, or more than a hundred of them.
pub fn read_signature_lines(lines: &str) -> Result<Vec<SignatureLine<'_>>, Error> {
    let lines = lines.strip_suffix('\n').ok_or(Error::Note)?;
    if lines.is_empty() || lines.split('\n').count() > MAX_SIGNATURES {
        return Err(Error::Note);
    }
    lines.split('\n').map(read_signature_line).collect()
}

fn read_signature_line(line: &str) -> Result<SignatureLine<'_>, Error> {
    let (name, value) = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).ok_or(Error::Note)?;
    let value = STANDARD.decode(value).map_err(|_| Error::Note)?;
    let (&id, signature) = value.split_first_chunk::<4>().ok_or(Error::Note)?;
    if name.is_empty() || signature.is_empty() {
        return Err(Error::Note);
    }
    Ok(SignatureLine { name, id, signature: signature.to_vec() })
}

fn check_name(name: &str) -> Result<(), Error> {
    let illegal = name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+');
    if illegal { Err(Error::Note) } else { Ok(()) }
}

fn check_text(text: &str) -> Result<(), Error> {
    let control = |c: char| c.is_control() && c != '\n';
    if text.ends_with('\n') && !text.contains(control) { Ok(()) } else { Err(Error::Note) }
}

fn hex_id(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn verifier() -> Verifier {
        Verifier::new("agency.example/log", key().verifying_key()).unwrap()
    }

    #[test]
    fn a_note_opens_under_its_key_and_no_other() {
        // SPEC §8.3
        let note = sign("one\ntwo\n", "agency.example/log", &key()).unwrap();
        assert_eq!(open(note.as_bytes(), &verifier()).unwrap(), "one\ntwo\n");
        let other_name = Verifier::new("other.example/log", key().verifying_key()).unwrap();
        let other_key = Verifier::new("agency.example/log", SigningKey::from_bytes(&[4; 32]).verifying_key()).unwrap();
        assert_eq!(open(note.as_bytes(), &other_name), Err(Error::Note));
        assert_eq!(open(note.as_bytes(), &other_key), Err(Error::Note));
    }

    #[test]
    fn a_note_of_several_keys_opens_under_each_of_them() {
        // SPEC §8.3
        let other = SigningKey::from_bytes(&[4; 32]);
        let second = sign("one\n", "platform.example/log", &other).unwrap();
        let note = sign("one\n", "agency.example/log", &key()).unwrap() + second.rsplit_once("\n\n").unwrap().1;
        let note = Note::parse(note.as_bytes()).unwrap();
        let second = verifier().renamed("platform.example/log").unwrap();
        assert_eq!(note.verify(&verifier()), Ok("one\n"));
        assert_eq!(note.verify(&second), Err(Error::Note), "the name is that of another key");
        let second = Verifier::new("platform.example/log", other.verifying_key()).unwrap();
        assert_eq!(note.verify(&second), Ok("one\n"));
        assert_eq!(note.lines().iter().map(|line| line.name).collect::<Vec<_>>(), [verifier().name(), second.name()]);
        assert_eq!(note.lines_of(second.name(), second.key_id()).count(), 1);
    }

    #[test]
    fn a_verifier_key_of_any_type_is_read_by_its_id() {
        let text = vkey("witness.example", 0x06, &[9; 1_312]);
        assert_eq!(read_vkey(&text), Ok(("witness.example", 0x06, vec![9; 1_312])));
        assert_eq!(Verifier::parse(&text), Err(Error::Note));
        for bad in [text.replace("witness", "w"), "a+00000000+".to_owned(), text.replace("+", "++")] {
            assert_eq!(read_vkey(&bad), Err(Error::Note));
        }
        let [one, four] = [0x01, 0x04].map(|kind| key_id("witness.example", kind, key().verifying_key().as_bytes()));
        assert_ne!(one, four);
    }

    #[test]
    fn every_changed_byte_is_refused() {
        // SPEC §8.3
        let note = sign("one\ntwo\n", "agency.example/log", &key()).unwrap().into_bytes();
        for at in 0..note.len() {
            for flip in [1, 0x20, 0x80] {
                let mut changed = note.clone();
                changed[at] ^= flip;
                assert_eq!(open(&changed, &verifier()), Err(Error::Note), "byte {at}");
            }
        }
        for len in 0..note.len() {
            assert_eq!(open(&note[..len], &verifier()), Err(Error::Note), "length {len}");
        }
    }

    #[test]
    fn lines_of_unknown_keys_are_ignored_and_a_failing_line_of_the_known_key_rejects() {
        // SPEC §8.3
        let mut note = sign("one\n", "agency.example/log", &key()).unwrap();
        for _ in 0..16 {
            note.push_str("\u{2014} witness.example AAAAAAAA\n");
        }
        assert!(open(note.as_bytes(), &verifier()).is_ok());
        let id = verifier().key_id();
        let bad = STANDARD.encode([&id[..], &[0; 64]].concat());
        note.push_str(&format!("\u{2014} agency.example/log {bad}\n"));
        assert_eq!(open(note.as_bytes(), &verifier()), Err(Error::Note));
    }

    #[test]
    fn a_line_of_an_unknown_key_has_a_name_a_key_id_and_something_behind_it() {
        // SPEC §8.3
        let note = sign("one\n", "agency.example/log", &key()).unwrap();
        for line in
            ["\u{2014} w AAAAAA==", "\u{2014}  AAAAAAA=", "\u{2014} w", "w AAAAAAA=", "\u{2014} w AAAAAAA= ", ""]
        {
            assert_eq!(open(format!("{note}{line}\n").as_bytes(), &verifier()), Err(Error::Note), "{line:?}");
        }
        assert!(open(format!("{note}\u{2014} w AAAAAAA=\n").as_bytes(), &verifier()).is_ok());
    }

    #[test]
    fn a_hundred_lines_are_read_and_no_more() {
        // SPEC §8.3
        let note = sign("one\n", "agency.example/log", &key()).unwrap();
        let lines = |n: usize| format!("{note}{}", "\u{2014} witness.example AAAAAAAA\n".repeat(n));
        assert!(open(lines(99).as_bytes(), &verifier()).is_ok());
        assert_eq!(open(lines(100).as_bytes(), &verifier()), Err(Error::Note));
    }

    #[test]
    fn a_verifier_key_survives_its_text_and_a_wrong_id_is_refused() {
        let text = verifier().to_string();
        assert_eq!(Verifier::parse(&text).unwrap(), verifier());
        for bad in [text.replace("+", " "), text.replacen(&hex_id(verifier().key_id()), "00000000", 1), String::new()] {
            assert!(Verifier::parse(&bad).is_err());
        }
    }

    #[test]
    fn control_characters_and_a_missing_newline_are_not_signed() {
        for text in ["a", "a\t\n", "a\r\n", "\u{7f}\n"] {
            assert!(sign(text, "agency.example/log", &key()).is_err());
        }
    }
}
