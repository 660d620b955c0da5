//! `sync`: the newest version of the lists.

use std::{io::IsTerminal, path::Path};

use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use veilmatch_protocol::name::ListId;

use super::{args::Telling, failure::Failure, session::which};
use crate::{Client, SyncReport};

pub async fn sync(dir: &Path, list: Option<ListId>, telling: Telling) -> Result<String, Failure> {
    let client = Client::open(dir)?;
    let lists = match list {
        Some(list) => vec![which(&client, Some(list))?],
        None => client.lists(),
    };
    let mut out = String::new();
    for list in lists {
        let bar = bar(telling, &list);
        let drawn = bar.clone();
        let report = client
            .sync(&list, move |progress| {
                drawn.set_length(progress.total);
                drawn.set_position(progress.done);
            })
            .await;
        bar.finish_and_clear();
        out.push_str(&line(&report?));
    }
    client.publish_if_due().await;
    client.shutdown().await;
    Ok(out)
}

fn bar(telling: Telling, list: &ListId) -> ProgressBar {
    if telling.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).expect("our own template is well-formed");
    ProgressBar::new(0).with_style(style).with_message(list.to_string())
}

fn line(report: &SyncReport) -> String {
    let SyncReport { list, before, version, epoch, fetched, by_delta } = report;
    let news = match before {
        Some(before) if before == version && *fetched == 0 => "already held".to_owned(),
        Some(before) if before == version => {
            format!("was damaged on the disk; {} fetched anew", DecimalBytes(*fetched))
        }
        Some(before) if *by_delta => format!("was version {before}; {} fetched as changes", DecimalBytes(*fetched)),
        Some(before) => format!("was version {before}; {} fetched", DecimalBytes(*fetched)),
        None => format!("{} fetched", DecimalBytes(*fetched)),
    };
    format!("{list}: version {version} of epoch {epoch}, {news}\n")
}
