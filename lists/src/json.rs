//! JSON of any length in bounded memory.
//!
//! A list in JSON is a small envelope around an array of millions of objects. [`Window`] holds a part of the input and walks
//! the envelope; [`Reader`] reads one whole object out of the window. An object of which the window holds only the beginning
//! is read anew when more of it is there.
//!
//! Everything is checked against the grammar, also what is read past, with one exception: a text that nobody asks for may
//! hold bytes that are not UTF-8.

mod fields;
mod reader;
mod text;
mod window;

pub(crate) use fields::Fields;
pub(crate) use reader::{Reader, Stop};
pub(crate) use text::{Text, Value};
pub(crate) use window::Window;
