//! Messages on a stream: length, number, body. The number joins an answer to its question.

use crate::codec::{HEADER_LEN, PAYLOAD_MAX};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest body: the largest frame of the codec.
pub const BODY_MAX: usize = PAYLOAD_MAX + HEADER_LEN;

/// A numbered message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Unique among the questions in flight on a connection.
    pub number: u64,
    /// A frame of the codec.
    pub body: Vec<u8>,
}

/// Reads the next message.
///
/// # Errors
/// The stream's, or `InvalidData` for a length that no message has.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Message> {
    let length = stream.read_u32().await? as usize;
    if length > BODY_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {length} bytes was announced, at most {BODY_MAX} are allowed"),
        ));
    }
    let number = stream.read_u64().await?;
    // Grows with what arrives, so that an announcement alone takes no memory.
    let mut body = Vec::with_capacity(length.min(64 << 10));
    let read = stream.take(length as u64).read_to_end(&mut body).await?;
    if read != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Message { number, body })
}

/// Writes a message; the caller flushes.
///
/// # Errors
/// The stream's, or `InvalidInput` for a body that is too large.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &Message) -> io::Result<()> {
    let length = u32::try_from(message.body.len())
        .ok()
        .filter(|_| message.body.len() <= BODY_MAX)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a message is too large"))?;
    stream.write_u32(length).await?;
    stream.write_u64(message.number).await?;
    stream.write_all(&message.body).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_crosses_a_stream() {
        let (mut one, mut other) = tokio::io::duplex(64);
        let message = Message {
            number: 7,
            body: vec![3; 1000],
        };
        let (sent, received) = tokio::join!(write(&mut one, &message), read(&mut other));
        sent.unwrap();
        assert_eq!(received.unwrap(), message);
    }

    #[tokio::test]
    async fn an_absurd_length_is_refused_before_anything_is_read() {
        let bytes = [0xFF; 64];
        let error = read(&mut bytes.as_slice()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn a_message_cut_short_is_an_error() {
        let mut bytes = Vec::new();
        write(
            &mut bytes,
            &Message {
                number: 1,
                body: vec![9; 10],
            },
        )
        .await
        .unwrap();
        for cut in 0..bytes.len() {
            assert!(read(&mut &bytes[..cut]).await.is_err());
        }
    }
}
