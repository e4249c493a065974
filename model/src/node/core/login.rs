//! What the BMC said to our credentials, kept in the record so that no other conductor has to ask again.
//!
//! Many BMCs lock an account for minutes after a few refused logins and begin anew with each further try. So the first
//! refusal is written down, once; whoever owns the node next tells its pool before it asks anything. What ends it is a
//! login that works, or new `driver_info`.

use super::{Effect, NodeCore, ReadError, Then};
use crate::command::NodeChange;
use crate::node::record::RefusedLogin;
use crate::port::bmc::BmcError;

/// What this core has heard.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Login {
    /// Nothing: the record's word stands.
    #[default]
    Unknown,
    /// The credentials are good.
    Works,
    /// They are not.
    Refused(RefusedLogin),
}

impl NodeCore {
    pub(super) fn note_login<T>(&mut self, result: &Result<T, ReadError>) {
        match result {
            Ok(_) => self.login = Login::Works,
            Err(error) => {
                if let Some(BmcError::Refused {
                    bmc,
                    username,
                    reason,
                }) = error.bmc()
                {
                    self.login = Login::Refused(RefusedLogin {
                        bmc: bmc.clone(),
                        username: username.clone(),
                        reason: reason.clone(),
                    });
                }
            }
        }
    }

    /// Writes down what was heard while nothing else was proposed: every other conductor is kept from asking too.
    pub(super) fn record_login(&mut self, out: &mut Vec<Effect>) -> bool {
        let is_news = self.login_news().is_some();
        if is_news {
            self.propose(None, Vec::new(), Then::Rest, out);
        }
        is_news
    }

    /// The change that brings the record up to what was heard; none while it says so already. It rides along with
    /// whatever is proposed next.
    pub(super) fn login_news(&self) -> Option<NodeChange> {
        match (&self.login, &self.record.login_refused) {
            (Login::Refused(refusal), None) => {
                Some(NodeChange::LoginRefused(Some(Box::new(refusal.clone()))))
            }
            (Login::Works, Some(_)) => Some(NodeChange::LoginRefused(None)),
            (Login::Unknown, _) | (Login::Refused(_), Some(_)) | (Login::Works, None) => None,
        }
    }
}
