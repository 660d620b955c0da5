use std::io::BufReader;

use proptest::prelude::*;

use super::*;
use crate::rows::shape::{keep, names, read as read_rows, told};
use crate::{Format, Rows};

fn decode(units: &[u8], capacity: usize) -> Result<String, String> {
    let Ok(mut input) = Utf16::behind(b"\xff\xfe", BufReader::with_capacity(capacity, units)) else { panic!("a mark") };
    let mut text = String::new();
    input.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

#[test]
fn tables_are_read_in_either_order() {
    for table in [&include_bytes!("../../samples/utf16/little.csv")[..], include_bytes!("../../samples/utf16/big.csv")]
    {
        assert_eq!(Rows::open(table, &keep()).unwrap().format(), Format::Csv);
        let options = crate::Options {
            columns: crate::Columns { name: Some("NÄME".into()), ..crate::Columns::default() },
            ..keep()
        };
        let rows = read_rows(table, &options);
        assert_eq!(told(&rows), ["2: sha256#1"]);
        assert_eq!(names(&rows), ["😀"]);
    }
}

#[test]
fn text_that_is_none_breaks_the_list() {
    let rows = |tail: &[u8]| {
        let digest = "a87ff679a2f3e71d9181a67b7542122c  a\n".repeat(4000);
        let text: Vec<_> = digest.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let input = [b"\xff\xfe", &text[..], tail].concat();
        let mut rows = Rows::open(BufReader::new(&input[..]), &keep()).unwrap();
        let count = rows.by_ref().take_while(Result::is_ok).count();
        let mut rows = Rows::open(BufReader::new(&input[..]), &keep()).unwrap();
        (count, rows.find_map(Result::err).map(|error| error.to_string()))
    };
    let at = "the list is broken at row 4001 at byte 144000";
    assert_eq!(rows(b""), (4000, None));
    assert_eq!(rows(b"a"), (4000, Some(format!("{at}: the text ends within a character"))));
    assert_eq!(rows(b"\x00\xd8"), (4000, Some(format!("{at}: the text ends within a character"))));
    assert_eq!(rows(b"\x00\xdca\0"), (4000, Some(format!("{at}: the text has half of a character"))));
    assert_eq!(rows(b"\x00\xd8a\0"), (4000, Some(format!("{at}: the text has half of a character"))));
}

#[test]
fn nothing_but_a_mark_is_an_empty_list() {
    assert_eq!(Rows::open(&b"\xff\xfe"[..], &keep()).unwrap_err().reason(), "LIST_EMPTY");
}

#[test]
fn endless_text_is_read_in_bounded_memory() {
    let endless = std::io::repeat(b'0').take(64 << 20);
    let Ok(mut input) = Utf16::behind(b"\xfe\xff", BufReader::new(endless)) else { panic!("a mark") };
    assert_eq!(std::io::copy(&mut input, &mut std::io::sink()).unwrap(), 3 * (32 << 20));
    assert!(input.decoded.capacity() <= 32 << 10);
}

proptest! {
    #[test]
    fn any_text_is_read_as_it_was_however_it_arrives(text in any::<String>(), capacity in 1..20_usize) {
        let units: Vec<_> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        prop_assert_eq!(decode(&units, capacity), Ok(text));
    }

    #[test]
    fn any_units_are_text_or_are_refused(units in prop::collection::vec(any::<u16>(), 0..40), capacity in 1..20_usize) {
        let bytes: Vec<_> = units.iter().copied().flat_map(u16::to_le_bytes).collect();
        prop_assert_eq!(decode(&bytes, capacity).ok(), String::from_utf16(&units).ok());
    }
}
