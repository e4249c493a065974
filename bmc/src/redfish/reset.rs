//! Power commands: which reset to ask for and what the answer means. Sources: DSP2046 `ComputerSystem.Reset`; Ironic
//! `redfish/power.py` for 400 and 409 answers of a machine that is already there.
//!
//! A command that is known to the BMC goes out as one POST with no read before it. Nothing is sent twice unless the BMC
//! said that it does not know the word.

use super::answer;
use super::conversation::Conversation;
use super::exchange::Answer;
use super::reset_type::ResetType;
use crate::vendor::Vendor;
use baton_model::port::bmc::{BmcError, PowerAction, PowerReading};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use tokio::time::Instant;

/// What became of one try.
enum Tried {
    /// The BMC took it, or the machine is there already.
    Done,
    /// The BMC does not know the word; the next substitute may do.
    UnknownWord(BmcError),
    /// The action has moved.
    Gone,
}

impl Conversation<'_> {
    /// Sends one command.
    pub(super) async fn act(&mut self, action: PowerAction) -> Result<(), BmcError> {
        match action {
            PowerAction::BootFrom(order) => return self.boot_from(order).await,
            PowerAction::BootMode(mode) => return self.set_boot_mode(mode).await,
            PowerAction::SecureBoot(on) => return self.set_secure_boot(on).await,
            PowerAction::Chore(_) => return Err(self.unsupported("it is no power command")),
            PowerAction::On
            | PowerAction::Off
            | PowerAction::SoftOff
            | PowerAction::Reset
            | PowerAction::Cycle
            | PowerAction::SoftReset
            | PowerAction::Nmi => {}
        }
        let mut found_again = false;
        'again: loop {
            let reset = self.reset_action().await?;
            let choices = self.link.vendor.resets(action);
            let mut last = None;
            for choice in choices.iter().copied() {
                if reset.allowed.is_some_and(|set| !set.contains(choice)) {
                    continue;
                }
                match self.try_reset(&reset.target, action, choice).await? {
                    Tried::Done => return Ok(()),
                    Tried::UnknownWord(error) => last = Some(error),
                    Tried::Gone if found_again => {
                        return Err(self.misconfigured(&format!(
                            "its reset action {} is not there",
                            reset.target.path()
                        )));
                    }
                    Tried::Gone => {
                        found_again = true;
                        self.link.forget_paths();
                        continue 'again;
                    }
                }
            }
            return Err(last.unwrap_or_else(|| {
                let allowed = reset.allowed.unwrap_or_default();
                let wanted: Vec<&str> = choices.iter().map(|choice| choice.as_str()).collect();
                BmcError::Unsupported {
                    bmc: self.name(),
                    operation: self.operation,
                    reason: format!(
                        "it allows the resets [{allowed}], and none of [{}] is among them",
                        wanted.join(", ")
                    )
                    .into(),
                }
            }));
        }
    }

    /// Asks for one reset type.
    async fn try_reset(
        &mut self,
        target: &hyper::Uri,
        action: PowerAction,
        choice: ResetType,
    ) -> Result<Tried, BmcError> {
        if choice == ResetType::PushPowerButton && self.is_there_before_a_press(action).await? {
            return Ok(Tried::Done);
        }
        let body = Bytes::from(format!("{{\"ResetType\": \"{choice}\"}}"));
        let answer = self.request(&Method::POST, target, Some(body)).await?;
        if answer.status.is_success() {
            self.link.settles_until =
                restarts(action).then(|| Instant::now() + self.link.vendor.settle);
            return Ok(Tried::Done);
        }
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Tried::Gone),
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT => {
                self.judge_refusal(action, &answer).await
            }
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(BmcError::Unsupported {
                    bmc: self.name(),
                    operation: self.operation,
                    reason: self.words(&answer),
                })
            }
            _ if Vendor::means_busy(&answer::error_words(&answer.body)) => Err(self.busy(&answer)),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// A press of the button does the opposite of what is wanted where the machine is there already, so the state must
    /// be known, freshly.
    async fn is_there_before_a_press(&mut self, action: PowerAction) -> Result<bool, BmcError> {
        let reading = self.read_power().await?;
        if reaches(action, reading) {
            return Ok(true);
        }
        if matches!(reading, PowerReading::On | PowerReading::Off) {
            return Ok(false);
        }
        Err(BmcError::Declined {
            bmc: self.name(),
            operation: self.operation,
            reason: format!(
                "it knows only {} for this, which is not safe while its power state is {reading:?}",
                ResetType::PushPowerButton
            )
            .into(),
        })
    }

    /// 400 and 409: the machine may be where it should be; then all is well.
    async fn judge_refusal(
        &mut self,
        action: PowerAction,
        answer: &Answer,
    ) -> Result<Tried, BmcError> {
        let words = answer::error_words(&answer.body);
        if matches!(
            action,
            PowerAction::On | PowerAction::Off | PowerAction::SoftOff
        ) {
            let reading = self.read_power().await?;
            let says_so = reading == PowerReading::Unknown && says_already_there(action, &words);
            if reaches(action, reading) || says_so {
                return Ok(Tried::Done);
            }
        }
        if Vendor::means_busy(&words) {
            Err(self.busy(answer))
        } else if is_unknown_word(&words) {
            Ok(Tried::UnknownWord(self.declined(answer)))
        } else {
            Err(self.declined(answer))
        }
    }
}

/// Whether the machine is on before and after, so that "on" does not tell that it happened.
const fn restarts(action: PowerAction) -> bool {
    matches!(
        action,
        PowerAction::Reset | PowerAction::Cycle | PowerAction::SoftReset
    )
}

/// Whether a machine in this state is where the action would bring it.
const fn reaches(action: PowerAction, reading: PowerReading) -> bool {
    match action {
        PowerAction::On => matches!(reading, PowerReading::On | PowerReading::PoweringOn),
        PowerAction::Off | PowerAction::SoftOff => {
            matches!(reading, PowerReading::Off | PowerReading::PoweringOff)
        }
        PowerAction::Reset
        | PowerAction::Cycle
        | PowerAction::SoftReset
        | PowerAction::Nmi
        | PowerAction::BootFrom(_)
        | PowerAction::BootMode(_)
        | PowerAction::SecureBoot(_)
        | PowerAction::Chore(_) => false,
    }
}

/// Whether the BMC's words say that the machine is there already (the texts are those Ironic looks for).
fn says_already_there(action: PowerAction, words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    let state = if action == PowerAction::On {
        "on"
    } else {
        "off"
    };
    words.contains(&format!("host is powered {state}"))
        || words.contains(&format!("already powered {state}"))
}

/// Message ids of DSP0268's Base registry that refuse the value of a parameter.
fn is_unknown_word(words: &str) -> bool {
    [
        "ActionParameterNotSupported",
        "ActionParameterUnknown",
        "ActionParameterValueFormatError",
        "ActionParameterValueNotInList",
        "ActionParameterValueTypeError",
        "PropertyValueNotInList",
    ]
    .iter()
    .any(|id| words.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_when_a_machine_is_there() {
        assert!(reaches(PowerAction::On, PowerReading::PoweringOn));
        assert!(!reaches(PowerAction::On, PowerReading::Unknown));
        assert!(reaches(PowerAction::SoftOff, PowerReading::Off));
        assert!(!reaches(PowerAction::Reset, PowerReading::On));
    }

    #[test]
    fn reads_the_words_that_mean_already_there() {
        assert!(says_already_there(
            PowerAction::Off,
            "Host is powered OFF. Reset not allowed"
        ));
        assert!(says_already_there(
            PowerAction::On,
            "server is already powered on"
        ));
        assert!(!says_already_there(PowerAction::On, "host is powered off"));
    }
}
