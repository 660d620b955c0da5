use super::*;
use crate::manifest::tests::manifest;

pub(crate) fn category(number: u16, scheme: &str, code: &str, action: &str, text: &str) -> Category {
    let [scheme, code, action, text] = [scheme, code, action, text].map(str::to_owned);
    Category { number, scheme, code, action, text }
}

fn source(number: u8, name: &str) -> Source {
    Source { number, name: name.to_owned() }
}

fn book(categories: Vec<Category>, sources: Vec<Source>) -> Result<CodeBook, Error> {
    let agency = AgencyName::parse("agency.example").unwrap();
    CodeBook::new(&agency, &ListId::parse("baseline").unwrap(), categories, sources)
}

fn plain() -> CodeBook {
    let categories = vec![category(2, "uk", "A", "report", "in the gravest class"), category(1, CUSTOM, "Ä 1", "", "")];
    book(categories, vec![source(1, "interpol")]).unwrap()
}

#[test]
fn a_code_book_is_canonical_json_in_the_order_of_its_numbers() {
    // SPEC §7.7
    let text = r#"{"agency":"agency.example","categories":[{"action":"","code":"Ä 1","number":1,"scheme":"custom","text":""},{"action":"report","code":"A","number":2,"scheme":"uk","text":"in the gravest class"}],"list":"baseline","sources":[{"name":"interpol","number":1}],"type":"veilmatch/codebook/v1"}"#;
    assert_eq!(String::from_utf8(plain().to_bytes()).unwrap(), text);
    assert_eq!(CodeBook::from_bytes(text.as_bytes()), Ok(plain()));
    assert_eq!(plain().category(2).unwrap().code, "A");
    assert_eq!(plain().source(1).unwrap().name, "interpol");
    assert_eq!((plain().category(3), plain().category(0), plain().source(2)), (None, None, None));
    assert!(book(vec![], vec![]).is_ok());
}

#[test]
fn another_form_of_the_same_is_refused() {
    // SPEC §7.7
    let text = String::from_utf8(plain().to_bytes()).unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1);
        assert_eq!(CodeBook::from_bytes(changed.as_bytes()), Err(Error::CodeBook), "{changed}");
    };
    refused(r#""list":"#, r#""list": "#);
    refused(r#""list":"baseline","#, "");
    refused(r#""list":"baseline""#, r#""list":"baseline","more":"""#);
    refused(r#""list":"baseline""#, r#""list":"baseline","list":"baseline""#);
    refused(r#""number":2"#, r#""number":2.0"#);
    refused(r#""number":2"#, r#""number":65536"#);
    refused(r#""number":2"#, r#""number":0"#);
    refused(r#""number":2"#, r#""number":1"#);
    refused(r#""name":"interpol","#, r#""extra":0,"name":"interpol","#);
    refused("Ä", "\\u00c4");
    refused("codebook/v1", "codebook/v2");
    refused("agency.example", "Agency.example");
    refused(r#""list":"baseline""#, r#""list":"-""#);
    refused("}", "");
    for bytes in [&text.as_bytes()[..text.len() - 1], b"", b"\xff", format!("{text}\n").as_bytes()] {
        assert_eq!(CodeBook::from_bytes(bytes), Err(Error::CodeBook));
    }
}

#[test]
fn a_member_outside_its_limits_is_refused() {
    // SPEC §7.7
    let accepted = |number, scheme: &str, code: &str, action: &str, text: &str| {
        book(vec![category(number, scheme, code, action, text)], vec![]).is_ok()
    };
    assert!(accepted(65_535, &"a".repeat(32), &"ä".repeat(32), "x-1", &"t".repeat(256)));
    for scheme in ["", "-a", "a-", "A", "a.b", "a_b", "a b", "ä", &"a".repeat(33)] {
        assert!(!accepted(1, scheme, "A", "", ""), "{scheme:?}");
        assert!(scheme.is_empty() || !accepted(1, "uk", "A", scheme, ""), "{scheme:?}");
    }
    for code in ["", "a\n", "\u{7f}", "\u{9b}", &"ä".repeat(33)] {
        assert!(!accepted(1, "uk", code, "", ""), "{code:?}");
    }
    for text in ["a\tb", "\0", &"t".repeat(257)] {
        assert!(!accepted(1, "uk", "A", "", text), "{text:?}");
    }
    assert!(!accepted(0, "uk", "A", "", ""));
    for (number, name) in [(0, "a"), (1, ""), (1, "a b"), (1, "A"), (1, &"a".repeat(65))] {
        assert_eq!(book(vec![], vec![source(number, name)]), Err(Error::CodeBook), "{number} {name:?}");
    }
}

#[test]
fn no_number_no_category_and_no_source_occurs_twice() {
    // SPEC §7.7
    let two = |a: Category, b: Category| book(vec![a, b], vec![]);
    let of = |number, action| category(number, "uk", "A", action, "");
    assert_eq!(two(of(1, ""), of(1, "report")), Err(Error::CodeBook));
    assert_eq!(two(of(1, "report"), of(2, "report")), Err(Error::CodeBook));
    assert!(two(of(1, ""), of(2, "report")).is_ok());
    assert!(two(of(1, ""), category(2, "ncmec", "A", "", "")).is_ok());
    assert_eq!(book(vec![], vec![source(1, "a"), source(1, "b")]), Err(Error::CodeBook));
    assert_eq!(book(vec![], vec![source(1, "a"), source(2, "a")]), Err(Error::CodeBook));
}

#[test]
fn a_code_book_of_more_than_a_mebibyte_is_refused() {
    // SPEC §7.7
    let categories = |n: u16| (1..=n).map(|i| category(i, "custom", &i.to_string(), "", &"t".repeat(256))).collect();
    let mut largest = book(categories(3_000), vec![]).unwrap();
    let mut last = 3_001;
    while let Ok(larger) = book(categories(last), vec![]) {
        largest = larger;
        last += 1;
    }
    assert!(largest.to_bytes().len() <= MAX_CODE_BOOK_LEN && largest.to_bytes().len() > MAX_CODE_BOOK_LEN - 400);
    let mut long = largest.to_bytes();
    long.resize(MAX_CODE_BOOK_LEN + 1, b' ');
    assert_eq!(CodeBook::from_bytes(&long), Err(Error::CodeBook));
}

#[test]
fn only_the_code_book_that_the_manifest_names_is_taken() {
    // SPEC §7.7
    let mut manifest = manifest(1);
    assert_eq!(CodeBook::of(&manifest, &plain().to_bytes()), Err(Error::CodeBook), "it names none");
    manifest.categories = Some(plain().digest());
    assert_eq!(CodeBook::of(&manifest, &plain().to_bytes()), Ok(plain()));
    let mut cut = plain().to_bytes();
    cut.pop();
    assert_eq!(CodeBook::of(&manifest, &cut), Err(Error::CodeBook));
    manifest.categories = Some(super::digest(&cut));
    assert_eq!(CodeBook::of(&manifest, &cut), Err(Error::CodeBook), "not of the form, whoever named it");
    let agency = AgencyName::parse("agency.example").unwrap();
    let other = CodeBook::new(&agency, &ListId::parse("other").unwrap(), vec![], vec![]).unwrap();
    manifest.categories = Some(other.digest());
    assert_eq!(CodeBook::of(&manifest, &other.to_bytes()), Err(Error::CodeBook), "of another list");
}

#[test]
fn every_known_scheme_and_action_fits_the_grammar() {
    assert!(KNOWN_SCHEMES.iter().chain(&KNOWN_ACTIONS).all(|name| is_scheme(name)));
}
