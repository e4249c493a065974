//! Changes of resources: one PATCH that names the version it is meant for, and what the answer means. Sources: DSP0266
//! §ETags; sushy `connector.py`.
//!
//! Some BMCs send versions that they do not accept back: a weak one is tried as a strong one, and then none is named.

use super::answer;
use super::conversation::Conversation;
use super::exchange::Answer;
use crate::vendor::Vendor;
use baton_model::port::bmc::BmcError;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde_json::Value;

/// A strong version made of a weak one (RFC 9110 §8.8.1).
fn strengthened(version: &HeaderValue) -> Option<HeaderValue> {
    let strong = version.to_str().ok()?.strip_prefix("W/")?;
    HeaderValue::from_str(strong).ok()
}

pub(super) fn version_in(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|version| !version.is_empty())
        .cloned()
}

impl Conversation<'_> {
    /// PATCHes the system, or where it cannot be changed itself, the resource that holds its pending settings.
    pub(super) async fn change_system(
        &mut self,
        system: &Value,
        headers: &HeaderMap,
        body: &Value,
    ) -> Result<(), BmcError> {
        let path = self.system_path().await?;
        let answer = self.change(&path, version_in(headers), body).await?;
        let elsewhere = answer::link_at(system, "/@Redfish.Settings/SettingsObject");
        if answer.status == StatusCode::METHOD_NOT_ALLOWED
            && let Some(settings) = elsewhere
        {
            let found = self.request(&Method::GET, &settings, None).await?;
            let version = version_in(&found.headers);
            let answer = self.change(&settings, version, body).await?;
            return self.judge_change(&answer);
        }
        self.judge_change(&answer)
    }

    /// One change, meant for a version of the resource.
    pub(super) async fn change(
        &mut self,
        path: &Uri,
        version: Option<HeaderValue>,
        body: &Value,
    ) -> Result<Answer, BmcError> {
        let strong = version.as_ref().and_then(strengthened);
        let mut tries = vec![version];
        if let [Some(_)] = tries.as_slice() {
            tries.extend(strong.map(Some));
            tries.push(None);
        }
        let body = Bytes::from(body.to_string());
        let last = tries.len().saturating_sub(1);
        for (at, version) in tries.into_iter().enumerate() {
            self.if_match = version;
            let answer = self.request(&Method::PATCH, path, Some(body.clone())).await;
            self.if_match = None;
            let answer = answer?;
            if answer.status != StatusCode::PRECONDITION_FAILED || at == last {
                return Ok(answer);
            }
        }
        Err(self.garbled("it was asked nothing"))
    }

    pub(super) fn judge_change(&self, answer: &Answer) -> Result<(), BmcError> {
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(BmcError::Unsupported {
                    bmc: self.name(),
                    operation: self.operation,
                    reason: self.words(answer),
                })
            }
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
                let words = answer::error_words(&answer.body);
                if Vendor::means_busy(&words) {
                    Err(self.busy(answer))
                } else {
                    Err(self.declined(answer))
                }
            }
            _ => Err(self.unexpected(answer)),
        }
    }

    pub(super) fn unsupported(&self, reason: &str) -> BmcError {
        BmcError::Unsupported {
            bmc: self.name(),
            operation: self.operation,
            reason: self.clean(reason),
        }
    }

    /// Changes a resource that was not read before.
    pub(super) async fn change_unread(&mut self, path: &Uri, body: &Value) -> Result<(), BmcError> {
        let found = self.request(&Method::GET, path, None).await?;
        if !found.status.is_success() {
            return Err(self.unexpected(&found));
        }
        let version = version_in(&found.headers);
        let answer = self.change(path, version, body).await?;
        self.judge_change(&answer)
    }

    /// Invokes an action.
    pub(super) async fn invoke(&mut self, target: &Uri, body: &Value) -> Result<(), BmcError> {
        let body = Bytes::from(body.to_string());
        let answer = self.request(&Method::POST, target, Some(body)).await?;
        self.judge_change(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_version_becomes_a_strong_one() {
        let weak = HeaderValue::from_static("W/\"1-2\"");
        assert_eq!(
            strengthened(&weak),
            Some(HeaderValue::from_static("\"1-2\""))
        );
        assert_eq!(strengthened(&HeaderValue::from_static("\"1-2\"")), None);
    }
}
