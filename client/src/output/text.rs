//! What may be shown of bytes that others chose: names of files, labels.

use std::borrow::Cow;

use veilmatch_protocol::codebook::{CUSTOM, Category};

use crate::{Label, Said};

/// A name on one line of a terminal. What could move the cursor, reorder the line or hide in it is written as `\n`,
/// `\x1b` or `\u{202e}`; a byte that is not UTF-8 as `\xff`; a backslash as two.
pub fn escaped(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                _ if character.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(character))),
                _ if deceives(character) => out.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
                _ => out.push(character),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Control characters, and those that are invisible or change the direction of what follows.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A label as people see it, if a line can show it. With a code book: the code with its scheme, and alone where the scheme
/// is the agency's own. Otherwise its text, without the zero bytes that fill it up.
pub fn printable_label(label: &Label) -> Option<Cow<'_, str>> {
    let text: Cow<'_, str> = match label.meaning().map(|meaning| &meaning.category) {
        Some(Said::This(Category { scheme, code, .. })) if scheme == CUSTOM => code.into(),
        Some(Said::This(Category { scheme, code, .. })) => format!("{scheme}:{code}").into(),
        Some(Said::Nothing) => "".into(),
        Some(Said::Unknown) => return None,
        None => {
            let bytes = label.bytes();
            let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            std::str::from_utf8(&bytes[..end]).ok()?.into()
        }
    };
    if text.chars().any(deceives) { None } else { Some(text) }
}
