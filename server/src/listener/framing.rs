//! Where gRPC messages begin and end in a stream of bytes: a flag, four bytes of length, the message.

/// Bytes before each message.
const PREFIX: usize = 5;

/// Follows the messages of one direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Framing {
    prefix: [u8; PREFIX],
    have: usize,
    // Of the message that the prefix announced, once the prefix is whole.
    rest: usize,
    complete: u64,
}

impl Framing {
    /// Takes the next bytes; tells up to where they belong to whole messages, if one ends in them.
    pub(super) fn advance(&mut self, data: &[u8]) -> Option<usize> {
        let mut at = 0;
        let mut end = None;
        while at < data.len() {
            if self.have < PREFIX {
                let len = (PREFIX - self.have).min(data.len() - at);
                self.prefix[self.have..self.have + len].copy_from_slice(&data[at..at + len]);
                self.have += len;
                at += len;
                if self.have == PREFIX {
                    let [_flag, length @ ..] = self.prefix;
                    self.rest = u32::from_be_bytes(length) as usize;
                }
            } else {
                let len = self.rest.min(data.len() - at);
                self.rest -= len;
                at += len;
            }
            if self.have == PREFIX && self.rest == 0 {
                self.have = 0;
                self.complete += 1;
                end = Some(at);
            }
        }
        end
    }

    /// Whether a message has begun and not ended.
    pub(super) fn within_message(&self) -> bool {
        self.have > 0
    }

    /// How many messages have ended.
    pub(super) fn complete(&self) -> u64 {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, 0, 0, len];
        bytes.extend(std::iter::repeat_n(7, len.into()));
        bytes
    }

    #[test]
    fn messages_are_found_however_the_bytes_are_cut() {
        let lengths = [0, 1, 200, 0, 0, 9];
        let stream: Vec<u8> = lengths.into_iter().flat_map(message).collect();
        for piece in 1..=stream.len() {
            let mut framing = Framing::default();
            for bytes in stream.chunks(piece) {
                framing.advance(bytes);
            }
            assert_eq!(framing.complete(), lengths.len() as u64, "{piece}");
            assert!(!framing.within_message());
        }
    }

    #[test]
    fn the_last_end_within_a_piece_is_told() {
        let mut framing = Framing::default();
        let two: Vec<u8> = [message(3), message(2), message(40)[..10].to_vec()].concat();
        assert_eq!(framing.advance(&two), Some(15));
        assert!(framing.within_message());
        assert_eq!(framing.advance(&[7; 20]), None);
        assert_eq!(framing.advance(&[7; 15]), Some(15));
        assert_eq!(framing.complete(), 3);
    }
}
