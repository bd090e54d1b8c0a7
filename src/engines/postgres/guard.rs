//! A stream that never lets the driver answer a request for the password in the clear.
//!
//! The driver answers `AuthenticationCleartextPassword` whoever asks. A server that has not proven who it is, or
//! somebody in front of it, could ask just that; so the server's messages are read along until it has let us in
//! (the manual's "Message Formats"), and such a request ends the connection before the driver sees it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// The server asked for the password itself.
#[derive(Debug)]
pub struct ClearText {
    pub encrypted: bool,
}

impl fmt::Display for ClearText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server asks for the password in the clear")
    }
}

impl std::error::Error for ClearText {}

/// What is read along.
#[derive(Debug)]
enum Watch {
    /// Nothing any more: the server may ask for what it likes, has let us in, or speaks TLS from here on.
    Off,
    /// The one letter with which a server answers whether it has TLS.
    Answer,
    /// The header of a message, with the four bytes behind it, which say what kind of authentication is wanted.
    Header { read: usize, bytes: [u8; 9] },
    /// So much of a message that says nothing of passwords.
    Rest(usize),
}

const HEADER: Watch = Watch::Header {
    read: 0,
    bytes: [0; 9],
};

/// See the module.
#[derive(Debug)]
pub struct Guarded<S> {
    inner: S,
    watch: Watch,
    encrypted: bool,
}

impl<S> Guarded<S> {
    /// Around the network: until the server says that it speaks TLS, if it is asked.
    pub fn plain(inner: S, asks_for_tls: bool) -> Self {
        Self {
            inner,
            watch: match asks_for_tls {
                true => Watch::Answer,
                false => HEADER,
            },
            encrypted: false,
        }
    }

    /// Around what came out of TLS.
    fn decrypted(inner: S, proven: bool) -> Self {
        Self {
            inner,
            watch: if proven { Watch::Off } else { HEADER },
            encrypted: true,
        }
    }
}

impl Watch {
    fn follow(&mut self, mut bytes: &[u8], encrypted: bool) -> io::Result<()> {
        while !bytes.is_empty() {
            match self {
                Self::Off => return Ok(()),
                Self::Answer => {
                    *self = if bytes[0] == b'S' { Self::Off } else { HEADER };
                    bytes = &bytes[1..];
                }
                Self::Rest(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        *self = HEADER;
                    }
                }
                Self::Header {
                    read,
                    bytes: header,
                } => {
                    header[*read] = bytes[0];
                    *read += 1;
                    bytes = &bytes[1..];
                    // Not every message is as long as the header that is looked for.
                    let length = match *read {
                        5.. => u32::from_be_bytes([header[1], header[2], header[3], header[4]]),
                        _ => continue,
                    };
                    let whole = 1 + length as usize;
                    if *read < whole.min(9) {
                        continue;
                    }
                    let kind = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
                    *self = match (header[0], *read, kind) {
                        (b'R', 9, 3) => return Err(io::Error::other(ClearText { encrypted })),
                        (b'R', 9, 0) => Self::Off,
                        _ if whole > *read => Self::Rest(whole - *read),
                        _ => HEADER,
                    };
                }
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let encrypted = self.encrypted;
        Poll::Ready(self.watch.follow(&buf.filled()[before..], encrypted))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Guarded<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

/// Puts the guard around what another one's handshake gives.
pub struct GuardedTls<C> {
    pub inner: C,
    /// Whether the server's certificate is verified.
    pub proven: bool,
}

impl<S, C> TlsConnect<S> for GuardedTls<C>
where
    C: TlsConnect<S>,
    C::Stream: Unpin,
    C::Future: Send + 'static,
{
    type Stream = Guarded<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, C::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.inner.connect(stream);
        let proven = self.proven;
        Box::pin(async move { Ok(Guarded::decrypted(handshake.await?, proven)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// Fed whole, and byte by byte.
    fn refused(watch: fn() -> Watch, bytes: &[u8]) -> bool {
        let whole = watch().follow(bytes, false).is_err();
        let mut slow = watch();
        let by_byte = bytes
            .iter()
            .any(|byte| slow.follow(&[*byte], false).is_err());
        assert_eq!(whole, by_byte);
        whole
    }

    #[test]
    fn a_request_for_clear_text_is_seen_wherever_it_comes() {
        let clear = message(b'R', &3_u32.to_be_bytes());
        let notice = message(b'N', b"SNOTICE\0R\0\0\0\x08\0\0\0\x03\0");
        let short = message(b'x', b"");
        let sasl = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        let ok = message(b'R', &0_u32.to_be_bytes());
        for before in [vec![], notice.clone(), short, sasl.clone()] {
            assert!(refused(|| HEADER, &[before, clear.clone()].concat()));
        }
        assert!(refused(
            || Watch::Answer,
            &[b"N".to_vec(), clear.clone()].concat()
        ));
        assert!(!refused(|| HEADER, &[notice, sasl].concat()));
        // Behind the S of TLS, and once we are in, everything may look like anything.
        assert!(!refused(
            || Watch::Answer,
            &[b"S".to_vec(), clear.clone()].concat()
        ));
        assert!(!refused(|| HEADER, &[ok, clear].concat()));
    }
}
