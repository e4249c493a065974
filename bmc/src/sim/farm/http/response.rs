//! A Redfish answer as an HTTP response, whose body may break off in its middle.

use super::connection::BrokenOff;
use crate::sim::redfish::message::Answer;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::pin::Pin;
use std::task::{Context, Poll};

pub(super) static X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
static ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

pub(super) fn nobody() -> Response<Payload> {
    let answer = Answer {
        status: 404,
        body: br#"{"error":{"code":"Base.1.8.GeneralError","message":"No simulated Redfish BMC lives here; paths begin with /bmc/<machine>/redfish/v1/."}}"#.to_vec(),
        ..Answer::default()
    };
    response(answer, false)
}

pub(super) fn response(answer: Answer, cut: bool) -> Response<Payload> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(&ODATA_VERSION, HeaderValue::from_static("4.0"));
    if !answer.body.is_empty() {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    if answer.status == 401 {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"Redfish\""),
        );
    }
    for (name, value) in [
        (header::ETAG, answer.etag),
        (header::LOCATION, answer.location),
        (X_AUTH_TOKEN.clone(), answer.token),
        (
            header::RETRY_AFTER,
            answer.retry_after_s.map(|s| s.to_string()),
        ),
        (header::ALLOW, answer.allow.map(str::to_owned)),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let mut response = Response::new(Payload::new(answer.body, cut));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// A body that may break off in its middle.
pub(super) struct Payload {
    /// What is still to be sent.
    rest: Bytes,
    /// Announced but never sent.
    withheld: u64,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Send,
    /// One turn of rest, so that what was sent reaches the wire before the connection breaks.
    Flush,
    Break,
    Done,
}

impl Payload {
    fn new(body: Vec<u8>, cut: bool) -> Self {
        let mut rest = Bytes::from(body);
        let mut withheld = 0;
        if cut {
            let kept = rest.split_to(rest.len() / 2);
            withheld = u64::try_from(rest.len()).unwrap_or(0).max(1);
            rest = kept;
        }
        let state = if rest.is_empty() && !cut {
            State::Done
        } else {
            State::Send
        };
        Self {
            rest,
            withheld,
            state,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.state {
            State::Send => {
                self.state = if self.withheld > 0 {
                    State::Flush
                } else {
                    State::Done
                };
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
            }
            State::Flush => {
                self.state = State::Break;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            State::Break => {
                self.state = State::Done;
                Poll::Ready(Some(Err(BrokenOff)))
            }
            State::Done => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Done
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(0);
        SizeHint::with_exact(rest + self.withheld)
    }
}
