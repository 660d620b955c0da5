use std::io::BufReader;

use proptest::prelude::*;

use super::*;

/// Line, offset, and fields or reason.
type Cut = (u64, u64, Result<Vec<String>, Quarantine>);

fn cut(input: &[u8], capacity: usize) -> Result<Vec<Cut>, String> {
    let mut records = Records::new(BufReader::with_capacity(capacity, input), b';', Place { row: 1, offset: 0 });
    let mut cut = Vec::new();
    while let Some(Record { place, fields }) = records.next().map_err(|error| error.to_string())? {
        let fields = fields.map(|fields| fields.iter().map(|field| String::from_utf8_lossy(field).into()).collect());
        cut.push((place.row, place.offset, fields));
    }
    Ok(cut)
}

fn fields(input: &str) -> Vec<Vec<String>> {
    cut(input.as_bytes(), 7).unwrap().into_iter().map(|record| record.2.unwrap()).collect()
}

#[test]
fn quotes_hold_delimiters_line_feeds_and_quotes() {
    let records = fields("a;\"b;c\";\"d\"\"e\"\n\"f\r\n\" ;g\r\n\"\";h\"i;\n");
    assert_eq!(records, [["a", "b;c", "d\"e"].to_vec(), vec!["f\r\n", "g"], vec!["", "h\"i", ""]]);
}

#[test]
fn a_record_is_placed_where_its_first_line_begins() {
    let cut = cut(b"a\n\n \r\n\"b\nc\";d\ne", 100).unwrap();
    let places: Vec<_> = cut.iter().map(|record| (record.0, record.1)).collect();
    assert_eq!(places, [(1, 0), (4, 6), (6, 14)]);
}

#[test]
fn text_behind_a_closing_quote_sets_the_record_aside() {
    // The quote that is missing in the first line is found in the second.
    let cut = cut(b"\"a;b\n\"c\";\"d\"\ne;f\n", 5).unwrap();
    assert_eq!(cut[0], (1, 0, Err(Quarantine::Malformed)));
    assert_eq!(cut[1], (3, 13, Ok(vec!["e".into(), "f".into()])));
}

#[test]
fn a_quote_that_nothing_closes_is_told_with_its_place() {
    assert_eq!(
        cut(b"a;b\nc;\"d\ne;f\n", 4).unwrap_err(),
        "the list is broken at row 2 at byte 6: a quote is opened here and not closed"
    );
    let endless = [b"a\n\"", &b"x;y\n".repeat(MAX_LINE_BYTES)[..]].concat();
    assert!(cut(&endless, 1000).unwrap_err().contains("row 2 at byte 2"));
}

#[test]
fn a_record_of_the_greatest_length_is_read_and_a_longer_one_is_not_held() {
    let longest = "x".repeat(MAX_LINE_BYTES);
    let input = format!("{longest}\n{longest}x\n\"a\";{longest};\"b\nc\"\nlast");
    let mut records = Records::new(input.as_bytes(), b';', Place { row: 1, offset: 0 });
    let mut next =
        || records.next().unwrap().map(|record| (record.place.row, record.fields.map(|fields| fields.iter().count())));
    assert_eq!(next(), Some((1, Ok(1))));
    assert_eq!(next(), Some((2, Err(Quarantine::LineTooLong))));
    assert_eq!(next(), Some((3, Err(Quarantine::LineTooLong))));
    assert_eq!(next(), Some((5, Ok(1))));
    assert_eq!(next(), None);
    assert!(records.cutter.bytes.capacity() <= 2 * MAX_LINE_BYTES);
}

proptest! {
    #[test]
    fn what_the_csv_crate_writes_is_read_as_it_was(
        rows in prop::collection::vec(prop::collection::vec("[a-c;\"\n\r ]{0,6}", 2..4), 1..8),
        capacity in 1..40_usize,
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(b';').flexible(true).from_writer(Vec::new());
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        let written = writer.into_inner().unwrap();
        let read: Vec<_> = cut(&written, capacity).unwrap().into_iter().map(|record| record.2.unwrap()).collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn any_bytes_are_cut_alike_however_they_arrive(
        input in prop::collection::vec(prop::sample::select(b"ab;\"\n\r ".to_vec()), 0..80),
        capacity in 1..40_usize,
    ) {
        prop_assert_eq!(cut(&input, capacity), cut(&input, 1000));
    }
}
