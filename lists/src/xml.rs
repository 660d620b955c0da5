//! XML of any length in bounded memory, and without what makes XML dangerous.
//!
//! One tag, text, comment or other piece of markup is held at a time. Document types are refused, and with them every entity
//! that a document could define.

use std::io::{self, BufRead, Read};

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::Error;
use crate::rows::Place;

/// Longest tag, text, comment or other piece of markup.
const MAX_BYTES: usize = 64 << 10;

/// How deep elements may nest.
const MAX_DEPTH: usize = 32;

/// What a document consists of.
pub(crate) enum Node {
    Start(Element),
    End,
    /// A text, or a part of one.
    Text(String),
}

/// The begin of an element.
pub(crate) struct Element {
    /// Without its prefix.
    pub name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// The value of an attribute. Prefixes do not count.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.0 == name).map(|attribute| &*attribute.1)
    }
}

/// The nodes of one document, or of several behind each other.
pub(crate) struct Nodes<R> {
    reader: Reader<Bounded<R>>,
    buffer: Vec<u8>,
    depth: usize,
    /// The row that is read, and where the latest node began.
    place: Place,
}

impl<R: BufRead> Nodes<R> {
    pub fn new(input: R) -> Self {
        let mut reader = Reader::from_reader(Bounded { input, left: MAX_BYTES, read: 0, exceeded: false });
        reader.config_mut().expand_empty_elements = true;
        Self { reader, buffer: Vec::new(), depth: 0, place: Place { row: 1, offset: 0 } }
    }

    /// Where the latest node began.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Tells that a row was read.
    pub fn count_row(&mut self) {
        self.place.row += 1;
    }

    /// How many elements are open.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// That the input is broken here.
    pub fn broken(&self, why: &str) -> Error {
        Error::Broken { place: self.place, why: why.into() }
    }

    /// The next node, or `None` at the end behind a document.
    pub fn next(&mut self) -> Result<Option<Node>, Error> {
        loop {
            if let Some(node) = self.event()? {
                return Ok(node);
            }
        }
    }

    /// Reads until this many elements are open.
    pub fn leave(&mut self, depth: usize) -> Result<(), Error> {
        while self.depth > depth {
            self.next()?;
        }
        Ok(())
    }

    /// The text of the element that was begun, which is read to its end, without the elements in it.
    pub fn text(&mut self) -> Result<String, Error> {
        let (mut text, outside) = (String::new(), self.depth - 1);
        while self.depth > outside {
            if let Some(Node::Text(part)) = self.next()?
                && self.depth == outside + 1
            {
                text += &part;
            }
            if text.len() > MAX_BYTES {
                return Err(self.broken(TOO_LONG));
            }
        }
        Ok(text)
    }

    /// The next event; none if it is a comment or the like.
    fn event(&mut self) -> Result<Option<Option<Node>>, Error> {
        self.buffer.clear();
        let input = self.reader.get_mut();
        (input.left, self.place.offset) = (MAX_BYTES, input.read);
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(_)) if self.reader.get_ref().exceeded => return Err(self.broken(TOO_LONG)),
            Err(quick_xml::Error::Io(source)) => {
                return Err(Error::Read { place: self.place, source: io::Error::new(source.kind(), source) });
            }
            Err(error) => return Err(self.broken(reason(&error))),
        };
        let node = match event {
            Event::Start(_) if self.depth == MAX_DEPTH => Err("elements nest too deep"),
            Event::Start(start) => {
                self.depth += 1;
                element(&start).map(|element| Some(Some(Node::Start(element))))
            }
            Event::End(_) => {
                self.depth -= 1;
                Ok(Some(Some(Node::End)))
            }
            Event::Text(text) => within(self.depth, &text.into_inner()),
            Event::CData(text) if self.depth > 0 => within(self.depth, &text.into_inner()),
            Event::GeneralRef(reference) if self.depth > 0 => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character.to_string()),
                    Ok(None) => resolve_predefined_entity(&reference.into_inner()).map(str::to_owned),
                    Err(_) => None,
                };
                character.map(|character| Some(Some(Node::Text(character)))).ok_or("an entity that XML does not have")
            }
            Event::CData(_) | Event::GeneralRef(_) => Err(OUTSIDE),
            Event::Decl(_) if self.depth > 0 => Err("a document begins within another one"),
            Event::Decl(declaration) => match declaration.encoding() {
                None => Ok(None),
                Some(Ok(encoding)) if is_utf8(&encoding) => Ok(None),
                Some(_) => Err("the encoding is not UTF-8"),
            },
            Event::DocType(_) => Err("a document type is declared"),
            Event::Comment(_) | Event::PI(_) | Event::Empty(_) => Ok(None),
            Event::Eof if self.depth > 0 => Err(TRUNCATED),
            Event::Eof => Ok(Some(None)),
        };
        node.map_err(|why| self.broken(why))
    }
}

const TOO_LONG: &str = "a tag or text is longer than 64 KiB";
const TRUNCATED: &str = "the input ends in the middle";
const OUTSIDE: &str = "a text stands outside of the document";

/// A text at this depth.
fn within(depth: usize, text: &str) -> Result<Option<Option<Node>>, &'static str> {
    if depth > 0 {
        return Ok(Some(Some(Node::Text(text.to_owned()))));
    }
    // Documents that were joined end to end may each have their byte order mark.
    let blank = |character: char| character.is_ascii_whitespace() || character == '\u{feff}';
    if text.chars().all(blank) { Ok(None) } else { Err(OUTSIDE) }
}

fn element(start: &BytesStart<'_>) -> Result<Element, &'static str> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| "an attribute is not well-formed")?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|_| "an attribute has an entity that XML does not have")?;
        attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
    }
    Ok(Element { name: start.local_name().into_inner().to_owned(), attributes })
}

fn is_utf8(encoding: &str) -> bool {
    ["UTF-8", "UTF8", "US-ASCII", "ASCII"].iter().any(|name| encoding.eq_ignore_ascii_case(name))
}

/// What is wrong, without anything of the content.
fn reason(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::Syntax(_) => "a tag or comment is not closed",
        quick_xml::Error::IllFormed(_) => "an end without its begin",
        quick_xml::Error::Encoding(_) => "the input is not UTF-8",
        _ => "the input is not well-formed",
    }
}

/// An input of which a limited number of bytes can be read at a time.
struct Bounded<R> {
    input: R,
    left: usize,
    read: u64,
    exceeded: bool,
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let available = self.input.fill_buf()?;
        if self.left == 0 && !available.is_empty() {
            self.exceeded = true;
            return Err(io::Error::other(TOO_LONG));
        }
        Ok(&available[..available.len().min(self.left)])
    }

    fn consume(&mut self, used: usize) {
        self.input.consume(used);
        self.left -= used;
        self.read += used as u64;
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let used = available.len().min(buffer.len());
        buffer[..used].copy_from_slice(&available[..used]);
        self.consume(used);
        Ok(used)
    }
}
