use std::io::repeat;

use super::*;

fn window(input: impl Read + Send + 'static) -> Window<Box<dyn Read + Send>> {
    Window::new(Box::new(input))
}

#[test]
fn an_object_that_is_longer_than_a_step_is_read_as_a_whole() {
    let text = "x".repeat(3 * STEP);
    let json = format!("  {{\"a\": \"{text}\"}} ]");
    let mut window = window(std::io::Cursor::new(json));
    assert_eq!(window.peek().unwrap(), Some(b'{'));
    assert_eq!(window.place().offset, 2);
    assert_eq!(window.whole(|reader| reader.skip()).unwrap(), Some(()));
    assert!(window.take(b']').unwrap());
    assert_eq!(window.peek().unwrap(), None);
}

#[test]
fn an_object_that_is_too_long_is_read_past() {
    let json = format!("{{\"a\": [\"}}\\\"\", {{}}, \"{}\"]}},", "x".repeat(2 * MAX_BYTES));
    let mut window = window(std::io::Cursor::new(json));
    assert_eq!(window.whole(|reader| reader.skip()).unwrap(), None);
    window.skip_long().unwrap();
    assert!(window.take(b',').unwrap());
}

#[test]
fn nothing_endless_is_held() {
    let endless: [(&[u8], u8, &str); 6] = [
        (b"{\"a\": \"", b'x', "LIST_READ"),
        (b"{\"a\": ", b' ', "LIST_READ"),
        (b"{\"a\": \"\\", b'\\', "LIST_READ"),
        (b"{\"a\": ", b'[', "LIST_BROKEN"),
        (b"{\"a\": ", b'1', "LIST_READ"),
        (b"{", b'}', "LIST_BROKEN"),
    ];
    for (begin, byte, reason) in endless {
        // The input fails after 64 MiB, so that a reader which goes on to its end can be told.
        let failing = std::io::empty().chain(Failing);
        let mut window = window(begin.chain(repeat(byte).take(64 << 20)).chain(failing));
        let read = match window.whole(|reader| reader.skip()) {
            Ok(None) => window.skip_long(),
            Ok(Some(())) => window.short(|reader| reader.skip()),
            Err(error) => Err(error),
        };
        assert_eq!(read.unwrap_err().reason(), reason, "{}", char::from(byte));
        assert!(window.buffer.capacity() <= 2 * MAX_BYTES, "{}", window.buffer.capacity());
    }
}

#[test]
fn endless_blanks_are_not_held() {
    let mut window = window(repeat(b' ').take(64 << 20));
    assert_eq!(window.peek().unwrap(), None);
    assert!(window.buffer.capacity() <= 2 * STEP);
    assert_eq!(window.place().offset, 64 << 20);
}

#[test]
fn what_was_read_before_a_failure_is_given_first() {
    let mut window = window(b"{} {".chain(Failing));
    assert_eq!(window.whole(|reader| reader.skip()).unwrap(), Some(()));
    assert_eq!(window.peek().unwrap(), Some(b'{'));
    let error = window.whole(|reader| reader.skip()).unwrap_err();
    assert_eq!(
        (error.reason(), error.to_string()),
        ("LIST_READ", "cannot read the list behind row 1 at byte 3".into())
    );
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("gone"))
    }
}
