//! `forget`: kept results go with what they are about.

use std::{fmt::Write, os::unix::ffi::OsStrExt, path::Path};

use veilmatch_lists::Says;

use super::{args, check::open_hashes, exit::Exit, failure::Failure, print, session::which, sweep::absolute};
use crate::{Client, Forget};

pub async fn forget(dir: &Path, args: args::Forget) -> Result<Exit, Failure> {
    let mut what = Forget::default();
    what.references.extend(args.paths.iter().map(|path| absolute(path).as_os_str().as_bytes().to_vec()));
    let passed_over = match &args.hashes {
        Some(path) => digests(path, &args.reading, &mut what)?,
        None => 0,
    };
    let client = Client::open(dir)?;
    let lists = match args.list {
        Some(list) => vec![which(&client, Some(list))?],
        None => client.lists(),
    };
    let mut text = String::new();
    for list in &lists {
        // Writing to a string does not fail.
        let _ = if args.lost {
            client.forget_lost(list)?;
            writeln!(text, "{list}: rescans speak no more of lost results")
        } else {
            writeln!(text, "{list}: {} forgotten", client.forget(list, &what)?)
        };
    }
    client.shutdown().await;
    print(&text)?;
    if passed_over > 0 {
        eprintln!("veilmatch: {passed_over} rows hold no digest; nothing was forgotten for them");
        return Ok(Exit::NotChecked);
    }
    Ok(Exit::Done)
}

/// Takes the digests of a file; gives how many rows hold none.
fn digests(path: &Path, reading: &args::Reading, what: &mut Forget) -> Result<u64, Failure> {
    let mut passed_over = 0;
    for row in open_hashes(path, &reading.options())? {
        let row = row.map_err(|source| Failure::HashList { path: path.to_owned(), source })?;
        let Says::Listed(listing) = row.says else {
            passed_over += 1;
            continue;
        };
        for digest in listing.digests {
            match digest {
                Ok(item) => what.items.push(item),
                Err(_) => passed_over += 1,
            }
        }
    }
    Ok(passed_over)
}
