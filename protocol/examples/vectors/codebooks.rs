//! A code book, labels that it explains, and what is refused of both.

use serde_json::{Value, json};
use veilmatch_protocol::{
    artifact::{self, Layout},
    codebook::{Category, CodeBook, MAX_CODE_BOOK_LEN, Source},
    label::CodedLabel,
    manifest::{Manifest, SignedManifest},
    name::AgencyName,
};

use super::Case;
use super::frames::context;
use super::lists::{signed, text, verifier};

/// The case that labels are read with.
const BASE: &str = "accept/code_book.json";

/// Length of the labels here.
const LABEL_BYTES: u8 = 12;

/// Everything about a code book and its labels; `plain` is a manifest of opaque labels.
pub fn all(plain: &Manifest) -> Vec<Case> {
    let book = book();
    let bytes = String::from_utf8(book.to_bytes()).expect("JSON is text");
    let note = text(&signed(named_by(plain, &book, LABEL_BYTES)));
    let accepted = json!({ "type": "code_book", "verifier_key": verifier().to_string(), "note": note,
                           "code_book": bytes });
    let mut cases = vec![Case::new(BASE, &accepted)];
    cases.extend(labels(&book));
    cases.extend(refused_books(&bytes));
    cases.extend(refused_for_this_manifest(&note, &bytes));
    cases
}

/// A manifest that names a code book, of labels of another length.
pub fn named_by(plain: &Manifest, book: &CodeBook, label_bytes: u8) -> Manifest {
    let layout = Layout::new(label_bytes).expect("at most 64");
    let mut manifest = plain.clone();
    manifest.categories = Some(book.digest());
    manifest.artifact.label_bytes = label_bytes.into();
    manifest.artifact.record_bytes = u32::try_from(layout.record_len()).expect("at most 84");
    manifest.artifact.bytes = artifact::file_len(layout, manifest.artifact.count);
    manifest
}

/// Manifests about code books that are refused: the leaf cannot be signed by this crate, so it is changed as text.
pub fn refused_leaves(leaf: &str) -> [(&'static str, String, &'static str); 2] {
    let categories = |value: &str| leaf.replacen("\"categories\":\"\"", &format!("\"categories\":\"{value}\""), 1);
    let digest = "A".repeat(43) + "=";
    [
        ("categories", categories("A1"), "categories is neither empty nor a hash"),
        ("categories_short_labels", categories(&digest), "a code book for labels of 2 bytes"),
    ]
}

fn category(number: u16, scheme: &str, code: &str, action: &str, text: &str) -> Category {
    let [scheme, code, action, text] = [scheme, code, action, text].map(str::to_owned);
    Category { number, scheme, code, action, text }
}

pub fn book() -> CodeBook {
    let categories = vec![
        category(1, "custom", "A1", "", ""),
        category(2, "uk", "A", "report", "synthetic \u{e4} \"quoted\" \\"),
        category(3, "ncmec", "A", "report", "the same code of another scheme"),
        category(65_535, "a-scheme-of-2031", "\u{1d538}/1", "an-action-of-2031", ""),
    ];
    let sources =
        vec![Source { number: 1, name: "interpol".to_owned() }, Source { number: 255, name: "a_b.c-d".to_owned() }];
    CodeBook::new(&AgencyName::parse("agency.example").expect("a name"), &context().list, categories, sources)
        .expect("within its limits")
}

fn labels(book: &CodeBook) -> Vec<Case> {
    let label = |stronger_listed, category, source, reference| {
        let label = CodedLabel { stronger_listed, category, source, reference: Some(reference) };
        label.encode(LABEL_BYTES).expect("fits")
    };
    let mut of_later = label(true, 65_535, 255, "");
    of_later[0] = 0xff;
    let mut unreadable = label(false, 2, 1, "case");
    unreadable[6] = 0xff;
    let mut control = label(false, 2, 1, "case");
    control[5] = 0;
    let cases = [
        ("plain", label(false, 1, 0, "")),
        ("full", label(true, 2, 1, "\u{e4} case7")),
        ("nothing_said", label(false, 0, 0, "")),
        ("flags_of_later", of_later),
        ("unknown_category", label(false, 4, 1, "case")),
        ("unknown_source", label(false, 3, 2, "case")),
        ("reference_no_utf8", unreadable),
        ("reference_control", control),
    ];
    let case = |(name, bytes): (&str, Vec<u8>)| {
        let read = CodedLabel::decode(&bytes).expect("4 bytes and more");
        let category = book.category(read.category).map(|category| {
            json!({ "scheme": category.scheme, "code": category.code, "action": category.action,
                    "text": category.text })
        });
        let value = json!({
            "type": "coded_label", "base": BASE, "label": hex::encode(&bytes),
            "stronger_listed": read.stronger_listed, "category_number": read.category, "source_number": read.source,
            "category": category, "source": book.source(read.source).map(|source| &source.name),
            "reference": read.reference,
        });
        Case::new(format!("accept/coded_label_{name}.json"), &value)
    };
    let short = json!({ "type": "coded_label", "label": "000001", "expect": "LABEL_LENGTH", "why": "3 bytes" });
    cases.into_iter().map(case).chain([Case::new("reject/coded_label_short.json", &short)]).collect()
}

/// Code books that no manifest makes acceptable.
fn refused_books(bytes: &str) -> Vec<Case> {
    let changed = |from: &str, to: &str| {
        assert!(bytes.contains(from), "{from}");
        bytes.replacen(from, to, 1)
    };
    let code = |code: &str| changed("\"code\":\"A1\"", &format!("\"code\":\"{code}\""));
    let cases = [
        ("white_space", changed("\"list\":", "\"list\": "), "not the canonical form"),
        ("escape", changed("\u{e4}", "\\u00e4"), "a character is escaped that need not be"),
        ("newline", format!("{bytes}\n"), "a byte behind the object"),
        ("cut", bytes[..bytes.len() - 1].to_owned(), "a byte is missing"),
        ("member_more", changed("\"number\":1,", "\"number\":1,\"parent\":0,"), "an unknown member"),
        ("member_less", changed(",\"text\":\"\"", ""), "a member is left out"),
        ("member_twice", changed("\"number\":1,", "\"number\":1,\"number\":1,"), "a member twice"),
        ("type", changed("codebook/v1", "codebook/v2"), "of another type"),
        ("fraction", changed("\"number\":2,", "\"number\":2.0,"), "a number with a fraction"),
        ("number_zero", changed("\"number\":1,", "\"number\":0,"), "0 says that there is no category"),
        ("number_large", changed("\"number\":65535", "\"number\":65536"), "a number of more than 16 bits"),
        ("number_twice", changed("\"number\":2,", "\"number\":1,"), "a number twice"),
        ("order", changed("\"number\":2,", "\"number\":4,"), "numbers do not ascend"),
        ("category_twice", changed("\"scheme\":\"ncmec\"", "\"scheme\":\"uk\""), "a category under two numbers"),
        ("scheme", changed("\"scheme\":\"uk\"", "\"scheme\":\"UK\""), "a scheme outside the grammar"),
        ("action", changed("an-action-of-2031", "an-action-of-2031-"), "an action outside the grammar"),
        ("code_empty", code(""), "no code"),
        ("code_long", code(&"\u{e4}".repeat(33)), "66 bytes"),
        ("code_control", code("\u{9b}"), "a control character"),
        ("text_long", changed("synthetic", &"t".repeat(256)), "more than 256 bytes"),
        ("source_name", changed("interpol", "Interpol"), "a source outside the grammar"),
        ("source_large", changed("\"number\":255", "\"number\":256"), "a source of more than 8 bits"),
        ("source_twice", changed("a_b.c-d", "interpol"), "a source under two numbers"),
    ];
    let case = |(name, code_book, why): (&str, String, &str)| {
        let value = json!({ "type": "code_book", "code_book": code_book, "expect": "BAD_CODE_BOOK", "why": why });
        Case::new(format!("reject/code_book_{name}.json"), &value)
    };
    assert!(bytes.len() < MAX_CODE_BOOK_LEN);
    cases.into_iter().map(case).collect()
}

/// Code books of the right form that are not the one of a manifest.
fn refused_for_this_manifest(note: &str, bytes: &str) -> Vec<Case> {
    let other = CodeBook::new(
        &AgencyName::parse("other.example").expect("a name"),
        &context().list,
        book().categories().to_vec(),
        Vec::new(),
    );
    let other = other.expect("within its limits");
    let leaf = |signed: &SignedManifest| signed.manifest().clone();
    let plain = SignedManifest::verify(note.as_bytes(), &verifier()).expect("signed above");
    let foreign = text(&signed(named_by(&leaf(&plain), &other, LABEL_BYTES)));
    let cases = [
        ("digest", note.to_owned(), bytes.replacen("\"A1\"", "\"A2\"", 1), "not the one that the manifest names"),
        ("agency", foreign, String::from_utf8(other.to_bytes()).expect("JSON is text"), "of another agency"),
    ];
    let case = |(name, note, code_book, why): (&str, String, String, &str)| {
        let value: Value = json!({ "type": "code_book", "verifier_key": verifier().to_string(), "note": note,
                                   "code_book": code_book, "expect": "BAD_CODE_BOOK", "why": why });
        Case::new(format!("reject/code_book_{name}.json"), &value)
    };
    cases.into_iter().map(case).collect()
}
