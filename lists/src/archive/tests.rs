use std::io::{Cursor, Write};

use ::zip::ZipWriter;
use ::zip::write::SimpleFileOptions;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha2::Digest;

use super::*;
use crate::rows::shape::{as_format, keep, told};
use crate::{Format, Options, Rows};

macro_rules! archive {
    ($name:literal) => {
        include_bytes!(concat!("../../samples/archive/", $name)).as_slice()
    };
}

fn unpack(bytes: &[u8], member: Option<&str>) -> Result<Vec<u8>, Error> {
    let mut unpacked = Vec::new();
    let read = open(Cursor::new(bytes), member)?.read_to_end(&mut unpacked);
    read.map_err(|source| cannot_read(source).told())?;
    Ok(unpacked)
}

fn rows(bytes: &[u8], member: Option<&str>) -> Result<Vec<String>, Error> {
    let rows = Rows::open(open(Cursor::new(bytes), member)?, &keep())?;
    Ok(told(&rows.collect::<Result<Vec<_>, _>>()?))
}

fn reason(bytes: &[u8], member: Option<&str>) -> &'static str {
    rows(bytes, member).unwrap_err().reason()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn what_is_no_archive_is_passed_through() {
    for plain in [&b""[..], b"P", b"PK", b"\x1f", b"plain text", &[b'x'; 100_000]] {
        assert_eq!(unpack(plain, None).unwrap(), plain);
        let mut streamed = Vec::new();
        open_stream(plain).unwrap().read_to_end(&mut streamed).unwrap();
        assert_eq!(streamed, plain);
    }
}

#[test]
fn the_members_of_a_gzip_file_are_one_list() {
    let expected = ["1: sha256#1", "2: sha256#2", "3: sha256#3", "4: sha256#4"];
    assert_eq!(rows(archive!("two_members.gz"), None).unwrap(), expected);
    let piped = Rows::open(open_stream(archive!("two_members.gz")).unwrap(), &keep()).unwrap();
    assert_eq!(told(&piped.map(Result::unwrap).collect::<Vec<_>>()), expected);
}

#[test]
fn a_zip_archive_with_one_file_is_that_file() {
    let expected = ["1: sha256#1", "2: sha256#2", "3: sha256#3"];
    for zip in [archive!("stored.zip"), archive!("zip64.zip"), archive!("streamed.zip"), archive!("outside.zip")] {
        assert_eq!(rows(zip, None).unwrap(), expected);
    }
    assert_eq!(rows(archive!("stored.zip"), Some("lists/a.sums")).unwrap(), expected);
    assert_eq!(reason(archive!("stored.zip"), Some("b.sums")), "LIST_MEMBER");
    assert_eq!(reason(archive!("empty.zip"), None), "LIST_EMPTY");
}

#[test]
fn of_several_files_one_must_be_named() {
    let zip = archive!("rds.zip");
    let expected = ["2: sha1#1 md5#1", "3: sha1#2 md5#2", "4: EMPTY_FILE_DIGEST EMPTY_FILE_DIGEST", "5: sha1#3"];
    assert_eq!(rows(zip, Some("NSRLFile.txt")).unwrap(), expected);
    assert_eq!(rows(zip, Some("RDS/NSRLFile.txt")).unwrap(), expected);
    assert_eq!(
        rows(zip, None).unwrap_err().to_string(),
        "the archive has 4 files, and one of them must be named: \
         RDS/NSRLProd.txt, RDS/NSRLFile.txt, RDS/old/version.txt, other/version.txt"
    );
    assert_eq!(unpack(zip, Some("other/version.txt")).unwrap(), b"1\r\n");
    assert_eq!(reason(zip, Some("version.txt")), "LIST_MEMBER");
}

#[test]
fn an_error_tells_twenty_names_and_no_control_characters() {
    let names: Vec<_> = (0..1000).map(|number| format!("{number}\u{1b}[2J")).collect();
    let files: Vec<_> = names.iter().map(|name| (&name[..], &b""[..])).collect();
    let Error::Member { files, names } = rows(&zip(&files), None).unwrap_err() else { panic!("not refused") };
    assert_eq!((files, names.len(), &names[19][..]), (1000, 20, "19\\u{1b}[2J"));
}

#[test]
fn a_whole_path_is_preferred_to_the_last_part_of_one() {
    let zip = zip(&[("x/list", b"1"), ("list", b"2"), ("y/list", b"3")]);
    assert_eq!(unpack(&zip, Some("list")).unwrap(), b"2");
    assert_eq!(unpack(&zip, Some("y/list")).unwrap(), b"3");
}

#[test]
fn archives_within_archives_and_other_archives_are_refused() {
    assert_eq!(reason(archive!("within.gz"), None), "LIST_IS_PACKED");
    assert_eq!(reason(&zip(&[("a.zip", archive!("stored.zip"))]), None), "LIST_IS_PACKED");
    assert_eq!(reason(archive!("bzip2.zip"), None), "LIST_IS_PACKED");
    assert_eq!(reason(b"BZh91AY&SY", None), "LIST_IS_PACKED");
    let given = Rows::open(archive!("stored.zip"), &as_format(Format::Sums)).unwrap_err();
    assert_eq!(given.reason(), "LIST_IS_PACKED");
}

#[test]
fn an_encrypted_file_is_refused() {
    let mut zip = archive!("streamed.zip").to_vec();
    let directory = zip.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    zip[6] |= 1;
    zip[directory + 8] |= 1;
    assert_eq!(reason(&zip, None), "LIST_IS_ENCRYPTED");
}

#[test]
fn no_cut_and_no_flipped_bit_gives_other_rows() {
    for archive in [archive!("two_members.gz"), archive!("zip64.zip"), archive!("stored.zip"), archive!("streamed.zip")]
    {
        let whole = unpack(archive, None).unwrap();
        // Between two members a gzip file may end.
        let member = archive.windows(3).rposition(|bytes| bytes == b"\x1f\x8b\x08").unwrap_or(0);
        for len in (4..archive.len()).filter(|len| *len != member) {
            let error = unpack(&archive[..len], None).unwrap_err();
            assert_eq!(error.reason(), "LIST_BROKEN", "{len}");
        }
        for at in 4..archive.len() {
            for bit in 0..8 {
                let mut flipped = archive.to_vec();
                flipped[at] ^= 1 << bit;
                match unpack(&flipped, None) {
                    Ok(unpacked) => assert!(unpacked == whole, "bit {bit} of byte {at}"),
                    Err(error) => {
                        let known = ["LIST_BROKEN", "LIST_IS_PACKED", "LIST_IS_ENCRYPTED", "LIST_EMPTY", "LIST_MEMBER"];
                        assert!(known.contains(&error.reason()), "{error}");
                    }
                }
            }
        }
    }
}

#[test]
fn damage_is_told_behind_the_rows_before_it() {
    let digest = |n: u64| hex::encode(sha2::Sha256::digest(n.to_be_bytes()));
    let sums: String = (0..20_000).map(|n| format!("{}  {n}\n", digest(n))).collect();
    let packed = gzip(sums.as_bytes());
    let mut rows = Rows::open(open(Cursor::new(&packed[..packed.len() / 2]), None).unwrap(), &keep()).unwrap();
    let read = rows.by_ref().take_while(Result::is_ok).count() as u64;
    assert!((1000..20_000).contains(&read));
    let mut rows = Rows::open(open(Cursor::new(&packed[..packed.len() / 2]), None).unwrap(), &keep()).unwrap();
    let error = rows.find_map(Result::err).unwrap();
    assert_eq!(error.reason(), "LIST_BROKEN");
    assert!(error.to_string().contains(&format!("row {} at byte", read + 1)), "{error}");
}

#[test]
fn an_archive_that_unpacks_without_end_is_refused() {
    let zeros = vec![b'0'; (FREE_BYTES + (1 << 20)) as usize];
    for bomb in [gzip(&zeros), zip(&[("bomb", &zeros)])] {
        assert!(zeros.len() as u64 > MAX_EXPANSION * bomb.len() as u64);
        let options = Options { format: Some(Format::Plain), ..Options::default() };
        let mut rows = Rows::open(open(Cursor::new(bomb), None).unwrap(), &options).unwrap();
        assert_eq!(rows.next().unwrap().unwrap_err().reason(), "LIST_BOMB");
        assert!(rows.next().is_none());
    }
}

#[test]
fn a_source_that_fails_is_no_damage() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let source = archive!("two_members.gz")[..50].chain(Broken);
    assert_eq!(Rows::open(open_stream(source).unwrap(), &keep()).unwrap_err().reason(), "LIST_READ");
}

proptest! {
    #[test]
    fn any_bytes_behind_a_magic_number_are_read_or_refused(
        magic in prop::sample::select([&ZIP[..], &[GZIP]].concat()),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        directory in any::<bool>(),
    ) {
        // With the end of a directory behind them they are a directory, as far as an archive can tell.
        let end = archive!("stored.zip");
        let end = if directory { &end[end.len() - 22..] } else { &[] };
        let _ = unpack(&[magic, &bytes, end].concat(), None);
    }
}
