use std::io::{self, BufReader, Read};

use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha512};
use veilmatch_protocol::item::Kind;

use super::shape::{as_format, keep, listing, names, placeless, read, shape, shaped};
use super::*;
use crate::{Counts, MAX_LINE_BYTES};

/// `sha256sum` of files that hold their number, under names that need care.
const SUMS: &str = r"4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a  *star
\8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f *a\nb
\ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d  back\\slash
7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  one
3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3  with ) = in
";
/// The same from `sha256sum --tag` and from `openssl dgst -sha256`, which cannot write the name with a line feed.
const TAGGED: &str = r"SHA256 (*star) = 4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a
\SHA256 (a\nb) = 8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f
SHA2-256(back\slash)= ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d
SHA256(one)= 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed
SHA256 (with ) = in) = 3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3
";

fn format(input: &[u8]) -> Result<Format, Error> {
    Rows::open(input, &Options::default()).map(|rows| rows.format())
}

#[test]
fn coreutils_names_are_read_with_their_escapes() {
    let rows = read(SUMS.as_bytes(), &keep());
    assert_eq!(names(&rows), ["*star", "a\nb", "back\\slash", "one", "with ) = in"]);
    for same in [TAGGED.into(), SUMS.replace('\n', "\r\n"), format!("\u{feff}{SUMS}")] {
        assert_eq!(placeless(&rows), placeless(&read(same.as_bytes(), &keep())));
    }
    assert_eq!(rows, read(SUMS.replace("7692c3ad", "7692C3AD").as_bytes(), &keep()));
}

#[test]
fn records_that_end_with_nul_hold_names_as_they_are() {
    let input = "a87ff679a2f3e71d9181a67b7542122c  *star\x0035d6d33467aae9a2e3dccb4b6b027878  a\nb\0\
                 e4da3b7fbbce2345d7772b0674a318d5  back\\slash\0";
    assert_eq!(format(input.as_bytes()).unwrap(), Format::SumsZ);
    assert_eq!(names(&read(input.as_bytes(), &keep())), ["*star", "a\nb", "back\\slash"]);
}

#[test]
fn names_are_not_held_unless_asked_for() {
    for row in read(SUMS.as_bytes(), &Options::default()) {
        assert_eq!(listing(&row).name, None);
    }
    let shown = format!("{:?}", read(SUMS.as_bytes(), &keep()));
    assert!(!shown.contains("star") && !shown.contains("115"), "{shown}");
}

#[test]
fn a_hashdeep_line_is_a_row_with_a_digest_for_each_column() {
    let input = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha-256,whirlpool,filename\n## Invoked from: /home\n\
        1,a87ff679a2f3e71d9181a67b7542122c,4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a,00,a, b\n\
        x,a87ff679a2f3e71d9181a67b7542122c,4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a,00,c\n\
        1,a87ff679a2f3e71d9181a67b7542122c\n\
        %%%% HASHDEEP-1.0\n%%%% size,sha1,filename\n1,da4b9237bacccdf19c0760cab7aec4a8359010b0,d\n";
    assert_eq!(format(input.as_bytes()).unwrap(), Format::Hashdeep);
    let rows = read(input.as_bytes(), &keep());
    let expected = [(4, "md5 sha256 UNSUPPORTED_KIND"), (5, "MALFORMED"), (6, "MALFORMED"), (9, "sha1")];
    assert_eq!(shape(&rows), shaped(&expected));
    assert_eq!(rows.iter().map(Row::weight).collect::<Vec<_>>(), [3, 1, 1, 1]);
    assert_eq!(names(&rows), ["a, b", "d"]);
}

#[test]
fn plain_digests_take_their_kind_from_the_row_then_from_the_operator_then_from_the_length() {
    let (md5, sha1) = ("a87ff679a2f3e71d9181a67b7542122c", "da4b9237bacccdf19c0760cab7aec4a8359010b0");
    let sha256 = "4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a";
    let sha512 = sha256.repeat(2);
    let input = format!(
        "# comment\n{md5}\n{sha1},\n\n  0x{sha256}\n{sha512}\nmd5 {md5}\nSHA-1:{sha1}\nsha256, {sha256},\nvideo_md5 {md5}\n\
         pdq {sha256}\n{sha256},label\nsha1 {md5}\n"
    );
    let rows = read(input.as_bytes(), &keep());
    let (head, tail) = (
        [(2, "AMBIGUOUS_KIND"), (3, "sha1"), (5, "AMBIGUOUS_KIND"), (6, "sha512")],
        [
            (7, "md5"),
            (8, "sha1"),
            (9, "sha256"),
            (10, "md5"),
            (11, "UNSUPPORTED_KIND"),
            (12, "MALFORMED"),
            (13, "WRONG_LENGTH"),
        ],
    );
    assert_eq!(shape(&rows), shaped(&[&head[..], &tail].concat()));

    let rows = read(input.as_bytes(), &Options { kind: Some(Kind::Sha256), ..keep() });
    let head = [(2, "WRONG_LENGTH"), (3, "WRONG_LENGTH"), (5, "sha256"), (6, "WRONG_LENGTH")];
    assert_eq!(shape(&rows), shaped(&[&head[..], &tail].concat()));
}

#[test]
fn bad_rows_are_set_aside_with_their_line_and_reading_goes_on() {
    let good = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  good";
    let long = format!("{good}{}", "x".repeat(MAX_LINE_BYTES));
    let cases = [
        ("7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431e  short", "WRONG_LENGTH"),
        ("7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431eg  letter", "BAD_HEX"),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty", "EMPTY_FILE_DIGEST"),
        ("0000000000000000000000000000000000000000000000000000000000000000  zero", "CONSTANT_DIGEST"),
        ("BLAKE2b-256 (b) = d01c06cb09606bc4b2cedf4266a3a20e1e636b467cb77a9dbed595094e02ea46", "UNSUPPORTED_KIND"),
        ("SHA256 (wrong) = fe05bcdcdc4928012781a5f1a2a77cbb5398e106", "WRONG_LENGTH"),
        (r"\7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed  \t", "MALFORMED"),
        ("7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed", "MALFORMED"),
        (&long, "LINE_TOO_LONG"),
    ];
    for (bad, reason) in cases {
        let input = format!("{good}\n{bad}\n{good}\n");
        let rows = read(input.as_bytes(), &as_format(Format::Sums));
        assert_eq!(shape(&rows), shaped(&[(1, "sha256"), (2, reason), (3, "sha256")]));
        let offsets = [0, good.len() + 1, good.len() + bad.len() + 2].map(|offset| offset as u64);
        assert_eq!(rows.iter().map(|row| row.place.offset).collect::<Vec<_>>(), offsets);
    }
}

#[test]
fn formats_are_recognised_or_the_operator_is_asked() {
    let bare = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    assert_eq!(format(SUMS.as_bytes()).unwrap(), Format::Sums);
    assert_eq!(format(TAGGED.as_bytes()).unwrap(), Format::Sums);
    assert_eq!(format(format!("junk\n\n{SUMS}").as_bytes()).unwrap(), Format::Sums);
    assert_eq!(format(bare.as_bytes()).unwrap(), Format::Plain);
    assert_eq!(format(format!("sha256 {bare}\n").as_bytes()).unwrap(), Format::Plain);

    let mixed = format!("{bare}\n{SUMS}");
    let error = format(mixed.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the beginning of the list fits several formats: sums, plain");
    let lines_or_records = format!("{}\0{SUMS}", SUMS.trim_end());
    assert_eq!(format(lines_or_records.as_bytes()).unwrap_err().reason(), "AMBIGUOUS_LIST_FORMAT");
    assert_eq!(format(b"{\"value\": []}\n").unwrap_err().reason(), "UNKNOWN_LIST_FORMAT");
}

#[test]
fn hints_name_every_format() {
    for reason in ["UNKNOWN_LIST_FORMAT", "LIST_FORMAT_NAME"] {
        let (_, hint) = Error::REASONS.iter().find(|row| row.0 == reason).unwrap();
        assert!(Format::ALL.iter().all(|format| hint.contains(format.name())), "{hint}");
    }
}

#[test]
fn inputs_that_no_format_can_read_are_refused_with_what_to_do() {
    for empty in [&b""[..], b"\n\r\n", b"\xef\xbb\xbf"] {
        assert_eq!(format(empty).unwrap_err().reason(), "LIST_EMPTY");
    }
    for options in [Options::default(), as_format(Format::Sums)] {
        let reason = |input: &[u8]| Rows::open(input, &options).unwrap_err().reason();
        assert_eq!(reason(b"2648632822 3 one\n4294967295 0 two\n"), "LIST_OF_CHECKSUMS");
        assert_eq!(reason(b"\x1f\x8b\x08\0\0\0\0\0\0\0"), "LIST_IS_PACKED");
    }
    assert_eq!(format(b"%%%% HASHDEEP-1.0\n1,2,3\n").unwrap_err().reason(), "HASHDEEP_HEADER");
    assert_eq!(Rows::open(SUMS.as_bytes(), &as_format(Format::Hashdeep)).unwrap_err().reason(), "HASHDEEP_HEADER");
}

#[test]
fn conditions_on_formats_without_fields_are_refused() {
    let only = vec!["Baseline=yes".parse().unwrap()];
    for format in [Format::Sums, Format::SumsZ, Format::Hashdeep, Format::Plain] {
        let options = Options { only: only.clone(), ..as_format(format) };
        assert_eq!(Rows::open(SUMS.as_bytes(), &options).unwrap_err().reason(), "LIST_NO_FIELD");
    }
}

#[test]
fn a_reader_that_fails_ends_the_rows_with_its_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let long = SUMS.repeat(1 + HEAD_BYTES / SUMS.len());
    let mut rows = Rows::open(BufReader::new(long.as_bytes().chain(Broken)), &keep()).unwrap();
    let last = rows.by_ref().last().unwrap();
    assert_eq!(last.unwrap_err().reason(), "LIST_READ");
    assert!(rows.next().is_none());
}

/// Whether a reading that goes on at each row gives the rows that the first one gave. How many rows there were to go on at.
fn go_on_at_each(input: &[u8], options: &Options) -> usize {
    let Ok(mut rows) = Rows::open(input, options) else { return 0 };
    let (format, mut given, mut heads) = (rows.format(), Vec::new(), Vec::new());
    while let Some(row) = rows.next() {
        heads.push(rows.head());
        given.push(row.map_err(|error| error.to_string()));
    }
    let mut resumed = 0;
    for (number, (row, head)) in given.iter().zip(heads).enumerate() {
        let (Ok(row), Some(head)) = (row, head) else { continue };
        let (head, rest) =
            (&input[..usize::try_from(head).unwrap()], &input[usize::try_from(row.place.offset).unwrap()..]);
        let again = Rows::resume(head, rest, row.place, format, options).unwrap();
        let again: Vec<_> = again.map(|row| row.map_err(|error| error.to_string())).collect();
        // The row itself is known; blanks before it may be skipped or not.
        assert_eq!(placeless(&[again[0].clone().unwrap()]), placeless(std::slice::from_ref(row)));
        assert_eq!(again[1..], given[number + 1..], "{format} at row {number}");
        resumed += 1;
    }
    resumed
}

#[test]
fn reading_goes_on_at_any_row_where_nothing_but_the_head_decides() {
    let vics = include_bytes!("../../samples/vics/media-2.0-us.json");
    let cases = include_bytes!("../../samples/vics/cases-2.0-uk.json");
    let late = include_bytes!("../../samples/vics/profile-last-1.3.json");
    let pages = include_bytes!("../../samples/ncmec/pages.xml");
    let wide = include_bytes!("../../samples/utf16/little.csv");
    let icse = include_bytes!("../../samples/icse/export.csv");
    let kinds = include_bytes!("../../samples/csv/kinds.csv");
    let lines = include_bytes!("../../samples/jsonl/kinds.jsonl");
    for input in [&vics[..], &icse[..], &kinds[..], &lines[..], SUMS.as_bytes()] {
        assert_eq!(go_on_at_each(input, &keep()), read(input, &keep()).len());
    }
    // What stands around a case, or behind the rows, decides as well; a place in what UTF-16 becomes is none in the file.
    for input in [&late[..], &pages[..], &wide[..]] {
        assert_eq!(go_on_at_each(input, &keep()), 0);
    }
    // One of its media is in no case.
    assert_eq!(go_on_at_each(cases, &keep()), 1);
    // A byte order mark in the middle is no mark, wherever the reading began.
    let joined = format!("\u{feff}{SUMS}\u{feff}{SUMS}");
    assert_eq!(go_on_at_each(joined.as_bytes(), &keep()), 10);
}

/// Gives at most `step` bytes per call.
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

/// What must stand before the rows.
fn header(format: Format) -> &'static str {
    match format {
        Format::Hashdeep => "%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n",
        Format::Icse => {
            "MD5;SHA1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;\
             Number of submissions;File Available;Media Type;Baseline\n"
        }
        Format::Nsrl => "SHA-1,MD5,CRC32,FileName,FileSize,ProductCode,OpSystemCode,SpecialCode\n",
        Format::Csv => "sha256,name\n",
        _ => "",
    }
}

/// A line of one of the formats, or of none.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let digest = any::<u32>().prop_map(|seed| hex::encode(Sha512::digest(seed.to_be_bytes())));
    let digest = (digest, prop::sample::select(vec![32, 40, 64, 128, 63])).prop_map(|(hex, len)| hex[..len].to_owned());
    prop_oneof![
        4 => (digest.clone(), "[ -~]{0,40}").prop_map(|(digest, name)| format!("{digest}  {name}").into_bytes()),
        2 => (digest.clone(), "[ -~]{0,40}").prop_map(|(digest, name)| format!("SHA256 ({name}) = {digest}\r").into_bytes()),
        2 => digest.clone().prop_map(String::into_bytes),
        2 => (digest.clone(), digest, "[a-c,;\" ]{0,10}").prop_map(|(one, other, name)| {
            format!("{one};{other};;{name};\"{name}\"").into_bytes()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..60),
        1 => (MAX_LINE_BYTES - 2..MAX_LINE_BYTES + 3).prop_map(|len| vec![b'a'; len]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_split_of_the_input_gives_the_same_rows(
        lines in prop::collection::vec(line(), 0..30),
        steps in prop::collection::vec(1..200_usize, 1..20),
        format in prop::sample::select(Format::ALL.to_vec()),
        detected in any::<bool>(),
    ) {
        let header = header(format);
        let input = [header.as_bytes(), &lines.join(&b'\n')].concat();
        let options = Options { format: (!detected).then_some(format), ..keep() };
        let dribble = Dribble { left: &input, steps: steps.into_iter().cycle() };
        let whole = Rows::open(&input[..], &options);
        let split = Rows::open(BufReader::with_capacity(57, dribble), &options);
        match (whole, split) {
            (Ok(whole), Ok(split)) => {
                prop_assert_eq!(whole.format(), split.format());
                let row = |row: Result<Row, Error>| row.map_err(|error| error.to_string());
                prop_assert_eq!(whole.map(row).collect::<Vec<_>>(), split.map(row).collect::<Vec<_>>());
            }
            (Err(whole), Err(split)) => prop_assert_eq!(whole.to_string(), split.to_string()),
            (whole, split) => prop_assert!(false, "{:?} {:?}", whole, split),
        }
    }

    #[test]
    fn reading_goes_on_at_any_row_of_any_input(
        lines in prop::collection::vec(line(), 0..10),
        format in prop::sample::select(Format::ALL.to_vec()),
    ) {
        let input = [header(format).as_bytes(), &lines.join(&b'\n')].concat();
        let rows = Rows::open(&input[..], &as_format(format)).map_or(0, |rows| rows.filter(Result::is_ok).count());
        let each = matches!(format, Format::Sums | Format::SumsZ | Format::Plain | Format::Icse | Format::Nsrl | Format::Jsonl);
        let resumed = go_on_at_each(&input, &as_format(format));
        prop_assert!(!each || resumed == rows);
    }

    #[test]
    fn any_bytes_are_read_to_the_end_and_every_row_is_counted(
        input in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\",;\n{}:a0".to_vec())], 0..2_000),
        format in prop::sample::select(Format::ALL.to_vec()),
    ) {
        let input = [header(format).as_bytes(), &input].concat();
        if let Ok(mut rows) = Rows::open(&input[..], &as_format(format)) {
            let mut counts = Counts::default();
            for row in &mut rows {
                let row = match row {
                    Ok(row) => row,
                    Err(error) => {
                        // A quote that nothing closes.
                        prop_assert_eq!(error.reason(), "LIST_BROKEN");
                        break;
                    }
                };
                for digest in &listing(&row).digests {
                    match digest {
                        Ok(_) => counts.accepted += 1,
                        Err(reason) => counts.quarantine(*reason),
                    }
                }
            }
            prop_assert!(rows.next().is_none());
            prop_assert!(counts.close(rows.read()).is_ok());
            let terminator = if format == Format::SumsZ { 0 } else { b'\n' };
            let lines = input.split(|byte| *byte == terminator).count() as u64;
            let most = if format == Format::Icse { 3 } else if format == Format::Nsrl { 2 } else { 1 };
            prop_assert!(rows.read() <= most * lines);
        }
    }

    #[test]
    fn every_name_survives_being_written_by_coreutils(name in prop::collection::vec(1..=255_u8, 1..50)) {
        let digest = hex::encode(Sha256::digest(&name));
        let mut escaped = Vec::new();
        for byte in &name {
            match byte {
                b'\\' => escaped.extend_from_slice(br"\\"),
                b'\n' => escaped.extend_from_slice(br"\n"),
                b'\r' => escaped.extend_from_slice(br"\r"),
                byte => escaped.push(*byte),
            }
        }
        let mark = if escaped == name { "" } else { "\\" };
        let untagged = [format!("{mark}{digest}  ").as_bytes(), &escaped, b"\n"].concat();
        let tagged = [format!("{mark}SHA256 (").as_bytes(), &escaped, format!(") = {digest}\n").as_bytes()].concat();
        let records = [format!("{digest} *").as_bytes(), &name, b"\0"].concat();
        for (input, format) in [(untagged, Format::Sums), (tagged, Format::Sums), (records, Format::SumsZ)] {
            let rows = read(&input[..], &as_format(format));
            prop_assert_eq!(rows.len(), 1);
            let listing = listing(&rows[0]);
            prop_assert_eq!(listing.name.as_deref(), Some(&name[..]));
            let item = listing.digests[0].as_ref().unwrap();
            prop_assert_eq!(hex::encode(item.digest()), digest.clone());
        }
    }
}
