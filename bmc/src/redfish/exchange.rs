//! One HTTP/1.1 request and its answer on one connection.
//!
//! hyper's connection is driven by the caller's own task and taken apart again after the answer, so an idle connection
//! is a socket and its TLS state: no task, no buffers. Redirects, authentication and retries are not known here. Every
//! part of an answer is bounded; nothing is read beyond the bound.

use super::stream::Stream;
use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode, Version, header};
use hyper_util::rt::TokioIo;
use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Largest answer that is read. The largest ComputerSystem we know has 40 KiB; a collection of 1024 members 60 KiB.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest head of an answer; also hyper's read buffer limit. Real heads stay under 2 KiB.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What a BMC answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum ExchangeError {
    /// The connection ended before an answer began. On a kept-alive connection this is how its end shows.
    Closed(String),
    /// The answer began and broke off.
    Cut(String),
    /// What came is not HTTP, or larger than any answer may be.
    Malformed(String),
}

/// Sends the request and reads the whole answer. Gives the connection back if it can carry another request. Dropping the
/// future closes the connection.
pub(super) async fn exchange(
    stream: Stream,
    request: Request<Full<Bytes>>,
) -> Result<(Answer, Option<Stream>), ExchangeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| classify(&error))?;
    let mut driver = Driver {
        connection: Some(connection),
    };
    let mut pending = pin!(sender.send_request(request));
    let response = poll_fn(|cx| {
        // Twice: the first turn may be what makes the other side ready, and saves a trip through the scheduler.
        for _ in 0..2 {
            driver.turn(cx);
            if let Poll::Ready(response) = pending.as_mut().poll(cx) {
                return Poll::Ready(response);
            }
        }
        Poll::Pending
    })
    .await
    .map_err(|error| classify(&error))?;
    let (head, mut incoming) = response.into_parts();
    let body = read_body(&mut driver, &mut incoming).await?;
    drop(incoming);
    let reusable = head.version == Version::HTTP_11 && !closes(&head.headers);
    let stream = if reusable { driver.finish() } else { None };
    let answer = Answer {
        status: head.status,
        headers: head.headers,
        body,
    };
    Ok((answer, stream))
}

/// Reads the body up to [`BODY_BYTES_MAX`]. A body in one piece is not copied.
async fn read_body(driver: &mut Driver, incoming: &mut Incoming) -> Result<Bytes, ExchangeError> {
    let too_large =
        || ExchangeError::Malformed(format!("the answer is larger than {BODY_BYTES_MAX} bytes"));
    if incoming.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let Some(first) = next_data(driver, incoming).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > BODY_BYTES_MAX {
        return Err(too_large());
    }
    let Some(second) = next_data(driver, incoming).await? else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(data) = next {
        if whole.len().saturating_add(data.len()) > BODY_BYTES_MAX {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
        next = next_data(driver, incoming).await?;
    }
    Ok(whole.freeze())
}

/// The next piece of the body; `None` at its end. Trailers carry nothing we ask for and are skipped.
async fn next_data(
    driver: &mut Driver,
    incoming: &mut Incoming,
) -> Result<Option<Bytes>, ExchangeError> {
    loop {
        let frame = poll_fn(|cx| {
            for _ in 0..2 {
                if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                driver.turn(cx);
            }
            Poll::Pending
        })
        .await;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(ExchangeError::Cut(describe(&error))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The connection half that moves bytes, polled beside whatever waits for them.
struct Driver {
    connection: Option<http1::Connection<TokioIo<Stream>, Full<Bytes>>>,
}

impl Driver {
    /// Moves what can be moved. The end of the connection shows in the response or body that waits for it.
    fn turn(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && connection.poll_without_shutdown(cx).is_ready()
        {
            self.connection = None;
        }
    }

    /// The bare connection, if it is still open and nothing unasked-for has arrived.
    fn finish(mut self) -> Option<Stream> {
        let parts = self.connection.take()?.into_parts();
        parts.read_buf.is_empty().then(|| parts.io.into_inner())
    }
}

/// Whether the BMC said that it closes the connection after this answer (RFC 9110 §7.6.1).
fn closes(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|text| text.to_ascii_lowercase().contains("close"))
    })
}

/// hyper's error in our terms.
fn classify(error: &hyper::Error) -> ExchangeError {
    if error.is_parse() {
        ExchangeError::Malformed(describe(error))
    } else {
        ExchangeError::Closed(describe(error))
    }
}

/// An error with its causes. hyper's own words are the same for many causes.
fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
