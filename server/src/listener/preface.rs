//! The first 24 bytes of HTTP/2, read before HTTP/2 gets to see them.
//!
//! hyper waits for the preface without end. Here its absence meets a deadline, and a peer that says something else (an
//! HTTP/1 client without ALPN) is closed at its first wrong byte.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// RFC 9113, Section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// There is no preface.
#[derive(Debug, Error)]
pub enum NoPreface {
    /// The peer says something else.
    #[error("the peer does not speak HTTP/2")]
    OtherProtocol,
    /// The peer went away.
    #[error("the peer went away")]
    Gone(#[source] io::Error),
}

/// A stream whose preface was read and is read again by whoever reads next.
pub(super) struct Prefaced<S> {
    stream: S,
    replayed: usize,
}

/// Waits for the preface. The caller sets the deadline.
pub(super) async fn read<S: AsyncRead + Unpin>(mut stream: S) -> Result<Prefaced<S>, NoPreface> {
    let mut bytes = [0; PREFACE.len()];
    let mut have = 0;
    while have < bytes.len() {
        have += match stream.read(&mut bytes[have..]).await.map_err(NoPreface::Gone)? {
            0 => return Err(NoPreface::Gone(io::ErrorKind::UnexpectedEof.into())),
            more => more,
        };
        if bytes[..have] != PREFACE[..have] {
            return Err(NoPreface::OtherProtocol);
        }
    }
    Ok(Prefaced { stream, replayed: 0 })
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefaced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.replayed..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, out);
        }
        let len = rest.len().min(out.remaining());
        out.put_slice(&rest[..len]);
        self.replayed += len;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefaced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};

    #[tokio::test]
    async fn the_preface_is_read_in_pieces_and_given_again() {
        let (mut peer, ours) = duplex(8);
        let written = tokio::spawn(async move {
            for byte in PREFACE {
                peer.write_all(&[*byte]).await.unwrap();
            }
            peer.write_all(b"rest").await.unwrap();
        });
        let mut prefaced = read(ours).await.unwrap();
        let mut all = Vec::new();
        prefaced.read_to_end(&mut all).await.unwrap();
        written.await.unwrap();
        assert_eq!(all, [PREFACE.as_slice(), b"rest"].concat());
    }

    #[tokio::test]
    async fn the_first_wrong_byte_ends_it_however_much_is_still_to_come() {
        let (mut peer, ours) = duplex(64);
        peer.write_all(b"GET /").await.unwrap();
        assert!(matches!(read(ours).await, Err(NoPreface::OtherProtocol)));
        let (mut peer, ours) = duplex(64);
        peer.write_all(&PREFACE[..23]).await.unwrap();
        drop(peer);
        assert!(matches!(read(ours).await, Err(NoPreface::Gone(_))));
    }
}
