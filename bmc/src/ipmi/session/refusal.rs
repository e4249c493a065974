//! From what a BMC says to what an operator reads: every way a job can end badly.

use super::job::Job;
use crate::ipmi::wire::code::{CompletionCode, RmcpStatus};
use baton_model::driver::ipmi::IpmiTarget;
use baton_model::port::bmc::BmcError;
use std::fmt::Display;
use std::time::Duration;

/// Words that `ipmitool` prints when the BMC's proof of the password is wrong; operators know them.
pub(super) const RAKP2_HMAC: &str = "RAKP 2 HMAC is invalid";
/// The same for the last message of the key exchange. With a wrong K_G the password was right until here.
pub(super) const RAKP4_CHECK: &str =
    "RAKP 4 message has invalid integrity check value; is ipmi_hex_kg_key right?";

/// Makes [`BmcError`]s for one target.
#[derive(Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub(crate) target: &'a IpmiTarget,
    pub(crate) operation: &'static str,
}

impl<'a> Refusal<'a> {
    pub(crate) const fn new(target: &'a IpmiTarget, job: Job) -> Self {
        Self {
            target,
            operation: job.operation(),
        }
    }

    /// `address:port`, with brackets around IPv6.
    pub(crate) fn bmc(&self) -> Box<str> {
        let IpmiTarget { address, port, .. } = self.target;
        if address.contains(':') {
            format!("[{address}]:{port}").into()
        } else {
            format!("{address}:{port}").into()
        }
    }

    pub(crate) fn silent(&self, within: Duration, attempts: u32) -> BmcError {
        BmcError::Silent {
            bmc: self.bmc(),
            operation: self.operation,
            within,
            attempts,
        }
    }

    pub(crate) fn session_over(&self) -> BmcError {
        BmcError::SessionOver {
            bmc: self.bmc(),
            operation: self.operation,
        }
    }

    pub(crate) fn unreachable(&self, reason: impl Display) -> BmcError {
        BmcError::Unreachable {
            bmc: self.bmc(),
            reason: reason.to_string().into(),
        }
    }

    pub(crate) fn refused(&self, reason: impl Display) -> BmcError {
        BmcError::Refused {
            bmc: self.bmc(),
            username: self.target.username.clone(),
            reason: reason.to_string().into(),
        }
    }

    pub(crate) fn busy(&self, reason: impl Display) -> BmcError {
        BmcError::Busy {
            bmc: self.bmc(),
            reason: reason.to_string().into(),
            retry_after: None,
        }
    }

    pub(crate) fn garbled(&self, reason: impl Display) -> BmcError {
        BmcError::Garbled {
            bmc: self.bmc(),
            operation: self.operation,
            reason: reason.to_string().into(),
        }
    }

    pub(crate) fn declined(&self, reason: impl Display) -> BmcError {
        BmcError::Declined {
            bmc: self.bmc(),
            operation: self.operation,
            reason: reason.to_string().into(),
        }
    }

    pub(crate) fn unsupported(&self, reason: impl Display) -> BmcError {
        BmcError::Unsupported {
            bmc: self.bmc(),
            operation: self.operation,
            reason: reason.to_string().into(),
        }
    }

    pub(crate) fn misconfigured(&self, reason: impl Display) -> BmcError {
        BmcError::Misconfigured {
            bmc: self.bmc(),
            reason: reason.to_string().into(),
        }
    }

    /// A refusing status in the answer called `message`.
    pub(super) fn status(&self, message: &'static str, status: RmcpStatus) -> BmcError {
        let reason = format!("Error in {message} message : {status}");
        match status {
            RmcpStatus::NO_RESOURCES | RmcpStatus::NO_RESOURCES_FOR_ROLE => self.busy(reason),
            RmcpStatus::UNAUTHORIZED_NAME
            | RmcpStatus::UNAUTHORIZED_ROLE
            | RmcpStatus::UNAUTHORIZED_GUID
            | RmcpStatus::INVALID_CHECK_VALUE
            | RmcpStatus::INVALID_NAME_LENGTH => self.refused(reason),
            RmcpStatus::INVALID_ROLE => self.misconfigured(format!(
                "{reason}; lower ipmi_priv_level or give the user more rights"
            )),
            other if other.is_cipher_refusal() => match self.target.cipher_suite {
                Some(_) => self.misconfigured(format!(
                    "{reason}; remove ipmi_cipher_suite to let baton choose"
                )),
                None => self.misconfigured(format!(
                    "{reason}; the BMC offers neither cipher suite 17 nor 3"
                )),
            },
            _ => self.declined(reason),
        }
    }

    /// A completion code other than success.
    pub(super) fn code(&self, code: CompletionCode) -> BmcError {
        match code {
            busy if busy.is_busy() => self.busy(busy),
            CompletionCode::INVALID_COMMAND
            | CompletionCode::INVALID_LUN
            | CompletionCode::INVALID_FIELD
            | CompletionCode::OUT_OF_RANGE => self.unsupported(code),
            CompletionCode::INSUFFICIENT_PRIVILEGE => self.declined(format!(
                "{code}; the session has level {}",
                privilege_name(self.target)
            )),
            _ => self.declined(code),
        }
    }

    /// The BMC does not let the user have the level that the node asks for (§22.18: 80h, 81h).
    pub(super) fn privilege(&self, code: CompletionCode) -> BmcError {
        if code.is_busy() {
            return self.busy(code);
        }
        self.misconfigured(format!(
            "user `{}` may not have privilege level {} ({code}); lower ipmi_priv_level or give the \
             user more rights",
            self.target.username,
            privilege_name(self.target)
        ))
    }
}

fn privilege_name(target: &IpmiTarget) -> &'static str {
    use baton_model::driver::ipmi::Privilege;
    match target.privilege {
        Privilege::Callback => "CALLBACK",
        Privilege::User => "USER",
        Privilege::Operator => "OPERATOR",
        Privilege::Administrator => "ADMINISTRATOR",
    }
}
