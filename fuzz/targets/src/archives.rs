//! Archives: opening and reading one ends, and what comes out is what a reader with seeks and a pipe agree on.

use std::io::{BufRead, Cursor, Read};

use veilmatch_lists::{Options, Rows, archive};

/// More than this never comes out of an archive of a fuzzer's size.
const MAX_BYTES: u64 = 256 << 20;

/// Opens an archive and reads what is in it.
pub fn open(bytes: &[u8]) {
    let sought = archive::open(Cursor::new(bytes), None).ok().map(content);
    let piped = archive::open_stream(bytes).ok().map(content);
    if !bytes.starts_with(b"PK") {
        assert!(sought == piped, "a pipe gives something else");
    }
    if let Ok(input) = archive::open(Cursor::new(bytes), None)
        && let Ok(rows) = Rows::open(input, &Options::default())
    {
        let _ = rows.last();
    }
}

/// How much there is, a sum of it, and whether it ends well.
fn content(mut input: Box<dyn BufRead + Send + '_>) -> (u64, u64, bool) {
    let (mut len, mut sum, mut buffer) = (0, 0_u64, vec![0; 64 << 10]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return (len, sum, true),
            Ok(read) => {
                len += read as u64;
                sum = buffer[..read].iter().fold(sum, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
                assert!(len <= MAX_BYTES, "an archive expands without end");
            }
            Err(_) => return (len, sum, false),
        }
    }
}
