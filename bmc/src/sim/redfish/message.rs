//! A Redfish question and answer without any socket, and the JSON bodies that several resources share.

use super::personality::Complaint;
use hyper::Method;
use serde_json::json;
use std::net::SocketAddr;

/// One HTTP request, as far as Redfish cares.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// What stands before `/redfish` when many BMCs share a listener, such as `/bmc/7`; else empty.
    pub prefix: &'a str,
    /// The path after the prefix, without a query.
    pub path: &'a str,
    /// `X-Auth-Token`.
    pub token: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// Who asks.
    pub remote: Option<SocketAddr>,
}

/// One HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: Vec<u8>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `X-Auth-Token`.
    pub token: Option<String>,
    /// `Retry-After` in seconds.
    pub retry_after_s: Option<u32>,
    /// `Allow`.
    pub allow: Option<&'static str>,
}

impl Answer {
    /// 200 with this body.
    pub(super) fn ok(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            body,
            ..Self::default()
        }
    }

    /// A status without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// 405 naming what is allowed.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::complain(
                405,
                "Base.1.8.OperationNotAllowed",
                "The HTTP method is not allowed on this resource.",
            )
        }
    }

    /// 404.
    pub(super) fn not_found(path: &str) -> Self {
        Self::complain(
            404,
            "Base.1.8.ResourceMissingAtURI",
            &format!("The resource at the URI {path} was not found."),
        )
    }

    /// A Redfish error (DSP0266 "Error responses").
    pub(super) fn complain(status: u16, id: &str, text: &str) -> Self {
        let body = json!({"error": {
            "code": "Base.1.8.GeneralError",
            "message": "A general error has occurred. See ExtendedInfo for more information.",
            "@Message.ExtendedInfo": [{
                "@odata.type": "#Message.v1_1_1.Message",
                "MessageId": id, "Message": text, "MessageArgs": [],
                "Severity": "Warning", "Resolution": "See the message.",
            }],
        }});
        Self {
            status,
            body: body.to_string().into_bytes(),
            ..Self::default()
        }
    }

    /// A vendor's error.
    pub(super) fn vendor(complaint: Complaint) -> Self {
        Self::complain(complaint.status, complaint.id, complaint.text)
    }
}

impl From<Complaint> for Answer {
    fn from(complaint: Complaint) -> Self {
        Self::vendor(complaint)
    }
}
