//! The id of each request: `req-<uuid>`, in both reply headers, in logs, and on the work that the request starts.

use axum::http::{HeaderName, HeaderValue};
use baton_model::env::Entropy;
use uuid::Builder;

/// The header that every reply carries.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("openstack-request-id");
/// Its second name.
pub(crate) const HEADER_X: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// A fresh id. It costs two draws from the process's own generator, no system call.
pub(crate) fn draw(entropy: &dyn Entropy) -> HeaderValue {
    let bits = u128::from(entropy.next_u64()) << 64 | u128::from(entropy.next_u64());
    let id = Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
    let mut buffer = *b"req-00000000-0000-0000-0000-000000000000";
    if let Some(tail) = buffer.get_mut(4..) {
        id.hyphenated().encode_lower(tail);
    }
    HeaderValue::from_bytes(&buffer).unwrap_or(HeaderValue::from_static("req-"))
}
