//! Measures how fast VICS files are read, beside serde_json reading past the same bytes.
//!
//! ```text
//! cargo run --release -p veilmatch-lists --example speed -- FILE [MEGABYTES [ROUNDS]]
//! ```
//!
//! Writes a synthetic VICS 2.0 file of that size (1,000 MB) if there is none, reads it once so that it lies in memory, and
//! then takes turns for some rounds (5). The best round of each counts:
//!
//! ```text
//! rows         this crate: the file read, every row taken apart, digests made, rows dropped
//! rows_memory  the same, of a file that lies in memory as a whole
//! from_reader  serde_json reading past everything, through a buffered reader
//! from_slice   the same, of a file that lies in memory as a whole
//! ```

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use serde::de::IgnoredAny;
use sha2::{Digest, Sha512};
use veilmatch_lists::{Format, Options, Rows};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = &arguments[..] else {
        return Err("usage: speed FILE [MEGABYTES [ROUNDS]]".into());
    };
    let path = Path::new(path);
    let megabytes = rest.first().map_or(Ok(1_000), |size| size.parse::<u64>())?;
    let rounds = rest.get(1).map_or(Ok(5), |rounds| rounds.parse::<u32>())?;
    if !path.exists() {
        write(path, megabytes * 1_000_000)?;
    }
    let bytes = fs::read(path)?;
    let tasks: [(&str, &dyn Fn() -> Outcome<u64>); 4] = [
        ("rows", &|| rows(BufReader::new(File::open(path)?))),
        ("rows_memory", &|| rows(&bytes[..])),
        ("from_reader", &|| {
            serde_json::from_reader::<_, IgnoredAny>(BufReader::new(File::open(path)?))?;
            Ok(0)
        }),
        ("from_slice", &|| {
            serde_json::from_slice::<IgnoredAny>(&bytes)?;
            Ok(0)
        }),
    ];
    let mut best = [f64::INFINITY; 4];
    for round in 1..=rounds {
        for ((name, task), best) in tasks.iter().zip(&mut best) {
            let start = Instant::now();
            let rows = task()?;
            let seconds = start.elapsed().as_secs_f64();
            *best = best.min(seconds);
            let speed = bytes.len() as f64 / 1e6 / seconds;
            println!(
                "round {round}  {name:<12} {speed:>7.0} MB/s{}",
                if rows > 0 { format!("  {rows} rows") } else { String::new() }
            );
        }
    }
    for ((name, _), best_of_it) in tasks.iter().zip(best) {
        let speed = bytes.len() as f64 / 1e6 / best_of_it;
        println!(
            "best     {name:<12} {speed:>7.0} MB/s  rows are {:.2} of it, from memory {:.2}",
            best_of_it / best[0],
            best_of_it / best[1]
        );
    }
    Ok(())
}

fn rows(input: impl BufRead + Send) -> Outcome<u64> {
    let options = Options { format: Some(Format::Vics), ..Options::default() };
    let mut count = 0;
    for row in Rows::open(input, &options)? {
        count += u64::from(row?.id.is_some());
    }
    Ok(count)
}

/// A file with media as exporters write them, names, paths and dates included.
fn write(path: &Path, bytes: u64) -> io::Result<()> {
    let mut out = Counted { out: BufWriter::new(File::create(path)?), written: 0 };
    let context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media";
    write!(out, "{{\"@odata.context\":\"{context}\",\"value\":[")?;
    let mut id = 0_u64;
    while out.written < bytes {
        let noise = Sha512::digest(format!("veilmatch speed {id}"));
        let (md5, sha1) = (hex::encode_upper(&noise[..16]), hex::encode_upper(&noise[16..36]));
        let (category, size, day) = (noise[60] % 3, u32::from(noise[61]) * 4_096 + 77, noise[62] % 28 + 1);
        let comma = if id == 0 { "" } else { "," };
        write!(
            out,
            "{comma}\n  {{\"MediaID\":{id},\"Category\":{category},\"MD5\":\"{md5}\",\"SHA1\":\"{sha1}\",\"PhotoDNA\":null,\
             \"MediaSize\":{size},\"DateUpdated\":\"2024-05-{day:02}T10:00:00.0000000Z\",\"MimeType\":\"image/jpeg\",\
             \"RelativeFilePath\":\"Export\\\\Media\\\\{md5}.jpg\",\"Series\":\"\",\"Tags\":\"\",\"Comments\":\"\",\
             \"VictimIdentified\":false,\"OffenderIdentified\":false,\"IsDistributed\":true,\"IsPrecategorized\":\"False\",\
             \"AlternativeHashes\":[],\"MediaFiles\":[{{\"FileName\":\"IMG_{id:08}.jpg\",\
             \"FilePath\":\"C:\\\\Users\\\\nobody\\\\Pictures\\\\{day}\\\\IMG_{id:08}.jpg\",\
             \"Created\":\"2023-01-{day:02}T00:00:00Z\",\"Written\":\"2023-01-{day:02}T00:00:00Z\",\
             \"Accessed\":\"2023-02-{day:02}T00:00:00Z\",\"Unallocated\":false}}],\"Exifs\":[]}}"
        )?;
        id += 1;
    }
    write!(out, "\n]}}")?;
    out.flush()
}

struct Counted<W> {
    out: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
