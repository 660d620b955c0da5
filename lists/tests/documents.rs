//! Documents of JSON and XML: however they are cut into reads, and wherever the buffers of their readers end.

use std::io::{self, BufReader, Read};

use proptest::prelude::*;
use veilmatch_lists::{Format, Options, Row, Rows};

const SAMPLES: [(Format, &[u8]); 6] = [
    (Format::Stopncii, include_bytes!("../samples/stopncii/pages.json")),
    (Format::Vics, include_bytes!("../samples/vics/media-2.0-us.json")),
    (Format::Vics, include_bytes!("../samples/vics/media-1.2.json")),
    (Format::Vics, include_bytes!("../samples/vics/cases-2.0-uk.json")),
    (Format::Vics, include_bytes!("../samples/vics/profile-last-1.3.json")),
    (Format::Ncmec, include_bytes!("../samples/ncmec/pages.xml")),
];

/// Gives at most so many bytes per call, in turn.
struct Dribble<'a> {
    left: &'a [u8],
    steps: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.steps.next().unwrap_or(1).min(buffer.len());
        self.left.read(&mut buffer[..step])
    }
}

/// The rows of an input, and the error that ended them.
fn rows(input: impl io::BufRead + Send, format: Format) -> Vec<Result<Row, String>> {
    let options = Options { format: Some(format), ..Options::default() };
    match Rows::open(input, &options) {
        Ok(rows) => rows.map(|row| row.map_err(|error| error.to_string())).collect(),
        Err(error) => vec![Err(error.to_string())],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_split_of_a_document_gives_the_same_rows(
        sample in prop::sample::select(SAMPLES.to_vec()),
        steps in prop::collection::vec(1..300_usize, 1..20),
        capacity in 1..200_usize,
        changed in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        blanks in 0..70_000_usize,
    ) {
        let (format, document) = sample;
        let mut document = document.to_vec();
        if let Some((place, byte)) = changed {
            let place = place.index(document.len());
            document[place] = byte;
        }
        // What follows the head is read in other pieces than the head.
        let pad = if format == Format::Ncmec { "<!---->".repeat(blanks / 7) } else { " ".repeat(blanks) };
        let document = [pad.as_bytes(), &document].concat();
        let dribble = Dribble { left: &document, steps: steps.into_iter().cycle() };
        prop_assert_eq!(rows(BufReader::with_capacity(capacity, dribble), format), rows(&document[..], format));
    }
}

#[test]
fn json_may_be_cut_anywhere_by_the_end_of_what_is_in_memory() {
    // JSON is read in such steps, and blanks are let go of.
    const STEP: usize = 128 << 10;
    let said = |rows: Vec<Result<Row, String>>| -> Vec<_> {
        rows.into_iter().map(|row| row.map(|row| (row.place.row, row.id, row.at, row.says))).collect()
    };
    for (format, document) in SAMPLES.into_iter().filter(|(format, _)| *format != Format::Ncmec) {
        let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
        let whole = said(rows(document, format));
        let mut input = vec![b' '; STEP];
        input.extend_from_slice(document);
        for cut in 0..document.len() {
            assert!(said(rows(&input[cut..], format)) == whole, "{format} cut at {cut}");
        }
    }
}

#[test]
fn no_row_is_lost_where_a_buffer_ends() {
    let numbers = 0..20_000_u32;
    let medium = |n: u32| format!("{{\"MediaID\": {n}, \"Series\": \"{}\\\\\"}}", "é".repeat(n as usize % 90));
    let media: Vec<_> = numbers.clone().map(medium).collect();
    let vics = format!("{{\"value\": [{}]}}", media.join(", "));
    let entry = |n: u32| {
        let name = "&amp;<![CDATA[é]]>".repeat(n as usize % 40);
        format!("<deletedImage><member id=\"{n}\">{name}</member><id>a&#98;</id></deletedImage>\n")
    };
    let entries: String = numbers.clone().map(entry).collect();
    let ncmec = format!("<queryResult><images count=\"20000\">{entries}</images></queryResult>");
    let record = |n: u32| format!("{{\"signalType\": \"URL\", \"hashValue\": \"{n}\", \"hashStatus\": \"Deleted\"}}");
    let records: Vec<_> = numbers.clone().map(record).collect();
    let stopncii = format!("{{\"hashRecords\": [{}]}}", records.join(","));
    for (format, input, prefix, suffix) in
        [(Format::Vics, vics, "", ""), (Format::Ncmec, ncmec, "", "/ab"), (Format::Stopncii, stopncii, "URL/", "")]
    {
        let read = rows(input.as_bytes(), format);
        assert_eq!(read.len(), 20_000, "{format}");
        for (row, n) in read.into_iter().zip(numbers.clone()) {
            assert_eq!(row.unwrap().id.unwrap(), format!("{prefix}{n}{suffix}").into_bytes());
        }
    }
}
