use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

/// Reads one value that a blank follows: a number ends where something else begins.
fn read(json: &[u8]) -> Result<usize, Stop> {
    let json = [json, b" "].concat();
    let mut reader = Reader::new(&json);
    reader.skip().map(|()| reader.at())
}

fn text(json: &str) -> Option<String> {
    match Reader::new(json.as_bytes()).value().unwrap() {
        Value::Text(text) => text.plain().map(Cow::into_owned),
        _ => panic!("{json} is a text"),
    }
}

#[test]
fn escapes_are_read_as_json_has_them() {
    assert_eq!(
        text(r#""\" \\ \/ \b \f \n \r \t \u00e9 \uD83D\uDE00 é""#).unwrap(),
        "\" \\ / \u{8} \u{c} \n \r \t é 😀 é"
    );
    for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\ud83d\n""#] {
        assert_eq!(text(half), None, "{half}");
    }
    let mut bytes = Reader::new(b"\"\xff\"");
    assert!(matches!(bytes.value(), Ok(Value::Text(text)) if text.plain().is_none()));
}

#[test]
fn names_are_compared_without_case_and_without_their_escapes() {
    let json = br#"{"m\u00445": 1}"#;
    let mut names = 0;
    let members = Reader::new(json).members(|reader, name| {
        names += usize::from(name.is("MD5") && !name.is("MD") && !name.is("MD55"));
        reader.skip()
    });
    assert_eq!((members, names), (Ok(()), 1));
}

#[test]
fn values_nest_as_deep_as_the_limit_and_no_deeper() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(read(nested(128).as_bytes()).is_ok());
    assert_eq!(read(nested(129).as_bytes()), Err(Stop::Broken("values nest too deep")));
    let objects = [r#"{"a":"#.repeat(129), "1".into(), "}".repeat(129)].concat();
    assert_eq!(read(objects.as_bytes()), Err(Stop::Broken("values nest too deep")));
}

#[test]
fn a_special_byte_is_found_wherever_it_stands() {
    for special in [b'"', b'\\', 0, 0x1f] {
        for len in 0..40 {
            for place in 0..=len {
                let mut bytes = vec![[0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7f, 0x80, 0xff][place % 8]; len];
                bytes.insert(place, special);
                let mut reader = Reader::new(&bytes);
                reader.skip_plain();
                assert_eq!(reader.at(), place);
            }
        }
    }
}

/// What is nearly JSON.
fn almost_json() -> impl Strategy<Value = Vec<u8>> {
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"\\u0041\"",
        "\"\\",
        "\"\\u00",
        "\"",
        "0",
        "-0",
        "01",
        "1.5",
        "1.",
        "-",
        "1e5",
        "1E+",
        "true",
        "tru",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "\u{1}",
        "é",
        "\"é\u{7f}\"",
        ".",
        "+1",
    ];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..12).prop_map(|tokens| tokens.concat().into_bytes())
}

fn json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
        "[ -~\n\\\\\"]{0,20}".prop_map(Into::into),
    ];
    let value = leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("[a-z\\\\]{0,3}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    value.prop_map(|value| value.to_string().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_another_reader_takes_is_taken_and_nothing_else(
        json in prop_oneof![almost_json(), json()],
        change in any::<prop::sample::Index>(),
        byte in prop::option::of(any::<u8>()),
    ) {
        let mut json = json;
        if let Some(byte) = byte && !json.is_empty() {
            let place = change.index(json.len());
            json[place] = byte;
        }
        let json = [b"[", &json[..], b"]"].concat();
        let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok();
        let mut reader = Reader::new(&json);
        let ours = reader.skip().is_ok() && reader.at() == json.len();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn a_value_that_is_cut_is_short_and_not_broken(json in json(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(json.len());
        let mut reader = Reader::new(&json[..cut]);
        prop_assert!(reader.skip() == Err(Stop::Short) || json[0].is_ascii_digit() || json[0] == b'-');
    }

    #[test]
    fn texts_are_those_of_another_reader(text in "\\PC*|[ -~\n\t\\\\\"]*") {
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(super::tests::text(&json), Some(text));
    }
}
