//! The report as a signed note: text `veilmatch/report/v1` and one line of canonical JSON (SPEC §21.3).

use ed25519_dalek::{Signature, SigningKey};
use veilmatch_protocol::{
    json,
    note::{self, Verifier},
};

use super::Report;
use crate::Error;

/// First line of the text.
const FIRST_LINE: &str = "veilmatch/report/v1\n";

/// The report as a note with the auditor's line.
///
/// # Errors
/// [`Error::BadReport`] if the key's name is not legal or a member has a control character.
pub fn sign(report: &Report, name: &str, key: &SigningKey) -> Result<String, Error> {
    let json = serde_json_canonicalizer::to_string(report).map_err(|_| Error::BadReport)?;
    note::sign(&format!("{FIRST_LINE}{json}\n"), name, key).map_err(|_| Error::BadReport)
}

/// The JSON of a report that `verifier` signed, which is canonical and has the members of a [`Report`], no more and no less. A
/// report has one signature line, and may be longer than other notes.
///
/// # Errors
/// [`Error::BadReport`] for every cause.
pub fn open<'a>(note: &'a str, verifier: &Verifier) -> Result<&'a str, Error> {
    let split = note.rfind("\n\n").ok_or(Error::BadReport)? + 1;
    let (text, line) = (&note[..split], &note[split + 1..]);
    let signature = signature_of(line, verifier).ok_or(Error::BadReport)?;
    verifier.key().verify_strict(text.as_bytes(), &signature).map_err(|_| Error::BadReport)?;
    let json = text.strip_prefix(FIRST_LINE).and_then(|json| json.strip_suffix('\n'));
    let json = json.ok_or(Error::BadReport)?;
    let report: Report = json::decode(json.as_bytes()).ok_or(Error::BadReport)?;
    if report.within_limits() { Ok(json) } else { Err(Error::BadReport) }
}

/// The signature of the line, if it is the one that the key would write.
fn signature_of(line: &str, verifier: &Verifier) -> Option<Signature> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let value = STANDARD.decode(line.trim_end().rsplit_once(' ')?.1).ok()?;
    let (id, signature) = value.split_first_chunk::<4>()?;
    let same = *id == verifier.key_id() && note::signature_line(verifier.name(), *id, signature) == line;
    same.then(|| Signature::from_slice(signature).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::tests::report;

    #[test]
    fn a_report_opens_under_its_key_and_no_byte_may_change() {
        // SPEC §21.3
        let key = SigningKey::from_bytes(&[5; 32]);
        let verifier = Verifier::new("auditor.example/veilmatch/report", key.verifying_key()).unwrap();
        let note = sign(&report(), verifier.name(), &key).unwrap();
        assert!(open(&note, &verifier).unwrap().starts_with("{\"agency\":\"agency.example\""));
        for at in (0..note.len()).filter(|&at| note.is_char_boundary(at) && note.is_char_boundary(at + 1)) {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(open(&changed, &verifier), Err(Error::BadReport), "byte {at}");
        }
    }
}
