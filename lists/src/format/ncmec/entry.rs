//! One entry of an NCMEC page.

use std::borrow::Cow;

use veilmatch_protocol::item::Item;

use crate::digest::{self, Lengths};
use crate::format::{Input, Settings, same_name};
use crate::rows::{Listing, Place, Row, Says};
use crate::time::seconds;
use crate::xml::{Element, Node, Nodes};
use crate::{Category, Error, Quarantine};

pub(super) const CLASSIFICATION: &str = "classification";
pub(super) const MEMBER: &str = "member";

/// Longest entry, feedback included.
const MAX_BYTES: u64 = 1 << 20;

/// What an element among the entries says.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Listed,
    Withdrawn,
}

impl Subject {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "image" | "video" => Some(Self::Listed),
            "deletedImage" | "deletedVideo" => Some(Self::Withdrawn),
            _ => None,
        }
    }
}

/// The children of an entry that are asked for.
#[derive(Default)]
pub(super) struct Entry {
    member: Option<String>,
    id: Option<String>,
    time: Option<String>,
    classification: Option<String>,
    digests: Vec<Result<Item, Quarantine>>,
    /// Whether one of them is there twice: then nobody knows what the entry says.
    twice: bool,
}

impl Entry {
    /// Reads the entry that was begun to its end. `None` if it is too long.
    pub(super) fn read(nodes: &mut Nodes<Input<'_>>, settings: &Settings) -> Result<Option<Self>, Error> {
        let (mut entry, outside, begin) = (Self::default(), nodes.depth() - 1, nodes.place().offset);
        // Text between the children is of no meaning.
        while let Some(node) = nodes.next()? {
            match node {
                Node::Start(element) => entry.child(&element, nodes, settings, begin)?,
                Node::End => return Ok(Some(entry)),
                Node::Text(_) => {}
            }
            if nodes.place().offset - begin > MAX_BYTES {
                nodes.leave(outside)?;
                return Ok(None);
            }
        }
        Ok(Some(entry))
    }

    fn child(
        &mut self,
        element: &Element,
        nodes: &mut Nodes<Input<'_>>,
        settings: &Settings,
        begin: u64,
    ) -> Result<(), Error> {
        let outside = nodes.depth() - 1;
        let (field, text) = match &*element.name {
            MEMBER => {
                let id = element.attribute("id").unwrap_or_default().to_owned();
                nodes.leave(outside)?;
                (&mut self.member, id)
            }
            "id" => (&mut self.id, nodes.text()?),
            "timestamp" => (&mut self.time, nodes.text()?),
            CLASSIFICATION => (&mut self.classification, nodes.text()?),
            "fingerprints" => return self.fingerprints(nodes, settings, begin),
            _ => return nodes.leave(outside),
        };
        self.twice |= field.replace(text.trim().to_owned()).is_some();
        Ok(())
    }

    /// Reads digests until there are too many for an entry.
    fn fingerprints(&mut self, nodes: &mut Nodes<Input<'_>>, settings: &Settings, begin: u64) -> Result<(), Error> {
        let outside = nodes.depth() - 1;
        while nodes.depth() > outside && nodes.place().offset - begin <= MAX_BYTES {
            if let Some(Node::Start(element)) = nodes.next()? {
                let text = nodes.text()?;
                let is_link = text.trim().is_empty() && element.attribute("href").is_some();
                self.digests.push(match digest::kind_named(element.name.as_bytes()) {
                    Ok(kind) if !is_link => settings.item(text.as_bytes(), Some(kind), Lengths::Any),
                    _ => Err(Quarantine::UnsupportedKind),
                });
            }
        }
        nodes.leave(outside)
    }

    /// What the entry says.
    pub(super) fn row(self, subject: Subject, place: Place, settings: &Settings) -> Row {
        self.try_row(subject, place, settings).unwrap_or_else(|| Row::quarantined(place, Quarantine::Malformed))
    }

    fn try_row(self, subject: Subject, place: Place, settings: &Settings) -> Option<Row> {
        let (member, id) = (self.member?, self.id?);
        // A key must not be that of another entry as well.
        if self.twice || member.is_empty() || member.contains('/') || id.is_empty() {
            return None;
        }
        let key = Some(format!("{member}/{id}").into_bytes());
        let at = self.time.as_deref().and_then(seconds);
        let row = |at, says| Row { place, id: key, at, says };
        match subject {
            Subject::Withdrawn => Some(row(at, Says::Withdrawn)),
            Subject::Listed => {
                let class = self.classification.filter(|class| !class.is_empty());
                if class.as_ref().is_some_and(|class| !is_code(class)) {
                    return None;
                }
                let mut digests = self.digests;
                if digests.is_empty() {
                    digests.push(Err(Quarantine::NoDigest));
                }
                let category = class.as_ref().map(|class| Category::of("ncmec", class));
                let listing = settings.filter(Listing { digests, category, ..Listing::default() }, |field| {
                    if same_name(field, MEMBER) {
                        Some(Cow::Borrowed(&*member))
                    } else {
                        class.as_deref().map(Cow::Borrowed)
                    }
                });
                Some(row(Some(at?), Says::Listed(listing)))
            }
        }
    }
}

/// Whether this can be a code: those known are A1, A2, B1 and B2.
fn is_code(class: &str) -> bool {
    class.len() <= 16 && class.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
