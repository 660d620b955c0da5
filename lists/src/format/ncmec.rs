//! NCMEC hash sharing, version 2: the XML that answers a query for entries, one page or several behind each other.
//!
//! ```text
//! <queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
//!   <images count="2" maxTimestamp="…">
//!     <image><member id="42">…</member><id>abc</id><timestamp>2017-10-24T15:00:00Z</timestamp>
//!       <classification>A1</classification><fingerprints><md5>…</md5><sha1>…</sha1></fingerprints></image>
//!     <deletedImage><member id="43">…</member><id>def</id><timestamp>…</timestamp></deletedImage>
//!   </images>
//!   <videos …>…</videos>
//!   <paging><next>…</next></paging>
//! </queryResult>
//! ```
//!
//! - The key is `42/abc`: the member's id and the entry's. A deleted entry withdraws it, and has no digest.
//! - Entries do not come in the order of their times. A deletion is taken even if its time cannot be read.
//! - The name of a fingerprint is its kind. Large ones are links, which nobody follows: an unsupported kind.
//! - `count` is the number of entries of the page, deleted ones included. Where it differs from what was read, the page was
//!   cut or changed on its way, and the input is refused.
//! - Elements are known by their names without prefix. Feedback and what else is not asked for is read past; an element
//!   among the entries that is none is set aside.
//! - That a page has a next one is not looked at: whether a range was fetched whole, its fetcher knows.

mod entry;

use crate::format::{Input, Parse, Settings};
use crate::rows::Row;
use crate::xml::{Element, Node, Nodes};
use crate::{Error, Quarantine};

use entry::{Entry, Subject};

/// The fields on which there can be conditions.
pub(super) const FIELDS: &[&str] = &[entry::CLASSIFICATION, entry::MEMBER];

/// Between which tags the input is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Input,
    Page,
    /// Images or videos: how many the page says there are, and how many were read.
    Entries {
        count: Option<u64>,
        read: u64,
    },
}

/// Pages of entries.
pub(super) struct Pages<'a> {
    nodes: Nodes<Input<'a>>,
    settings: Settings,
    level: Level,
    /// Whether a page was met.
    shown: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn open(input: Input<'a>, settings: Settings) -> Self {
        Self { nodes: Nodes::new(input), settings, level: Level::Input, shown: false }
    }

    fn begin_page(&mut self, element: &Element) -> Result<(), Error> {
        if element.name != ROOT {
            return Err(self.nodes.broken("the document is no queryResult"));
        }
        (self.level, self.shown) = (Level::Page, true);
        Ok(())
    }

    /// A child of the page.
    fn begin_section(&mut self, element: &Element) -> Result<(), Error> {
        if element.name != "images" && element.name != "videos" {
            return self.nodes.leave(self.nodes.depth() - 1);
        }
        let count = match element.attribute("count").map(|count| count.trim().parse()) {
            None => None,
            Some(Ok(count)) => Some(count),
            Some(Err(_)) => return Err(self.nodes.broken("a count is no number")),
        };
        self.level = Level::Entries { count, read: 0 };
        Ok(())
    }

    fn end_section(&mut self, count: Option<u64>, read: u64) -> Result<(), Error> {
        if let Some(count) = count.filter(|count| *count != read) {
            return Err(self.nodes.broken(&format!("a page says that it has {count} entries and has {read}")));
        }
        self.level = Level::Page;
        Ok(())
    }

    /// A child of the images or videos.
    fn entry(&mut self, element: &Element) -> Result<Row, Error> {
        let place = self.nodes.place();
        let row = match Subject::of(&element.name) {
            Some(subject) => match Entry::read(&mut self.nodes, &self.settings)? {
                Some(entry) => entry.row(subject, place, &self.settings),
                None => Row::quarantined(place, Quarantine::LineTooLong),
            },
            None => {
                self.nodes.leave(self.nodes.depth() - 1)?;
                Row::quarantined(place, Quarantine::Malformed)
            }
        };
        self.nodes.count_row();
        Ok(row)
    }
}

impl Parse for Pages<'_> {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        loop {
            match (self.level, self.nodes.next()?) {
                (_, None) if self.shown => return Ok(None),
                (_, None) => return Err(self.nodes.broken("there is no document")),
                (Level::Input, Some(Node::Start(element))) => self.begin_page(&element)?,
                (Level::Page, Some(Node::Start(element))) => self.begin_section(&element)?,
                (Level::Entries { count, read }, Some(Node::Start(element))) => {
                    self.level = Level::Entries { count, read: read + 1 };
                    return self.entry(&element).map(Some);
                }
                (Level::Entries { count, read }, Some(Node::End)) => self.end_section(count, read)?,
                (Level::Page | Level::Input, Some(Node::End)) => self.level = Level::Input,
                (Level::Input | Level::Page, Some(Node::Text(_))) => {}
                // The blanks between entries are no entries; a text is something that was one.
                (Level::Entries { .. }, Some(Node::Text(text))) if text.trim_ascii().is_empty() => {}
                (Level::Entries { .. }, Some(Node::Text(_))) => {
                    return Err(self.nodes.broken("a text stands between entries"));
                }
            }
        }
    }
}

const ROOT: &str = "queryResult";

/// Whether the beginning of an input is that of a page.
pub(super) fn looks_like_one(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"<") && head.windows(ROOT.len()).any(|window| window == ROOT.as_bytes())
}

#[cfg(test)]
mod tests;
