//! A file of users and bcrypt hashes, and the memory of pairs that were found right.
//!
//! bcrypt is slow on purpose (some 50 ms), and clients poll: a pair that was right is remembered for a while under a
//! digest keyed by chance, so that neither memory nor a dump of it holds a password.

use crate::error::ApiError;
use axum::http::StatusCode;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long a right pair is believed without asking bcrypt again. A removed user gets in at most so long, unless the
/// file changed, which empties the memory.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// Most pairs remembered. Services and operators of one site are a few dozen.
const PAIRS_MAX: usize = 1024;

/// How often the file's time is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Hashes checked at once. bcrypt takes a whole core each time, and wrong passwords must not take them all.
const CHECKS_AT_ONCE: usize = 1;

/// Longest password that bcrypt looks at (its key is 72 bytes with the final zero).
const PASSWORD_BYTES_MAX: usize = 72;

/// A hash that no password has, checked for unknown users so that they take as long as known ones.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuoHBNVuN6hxCWqVOTBJ9lCn1sFD2xMEu";

/// The users of one file.
pub(crate) struct Users {
    file: PathBuf,
    key: [u64; 4],
    known: Mutex<Known>,
    checks: Semaphore,
}

#[derive(Default)]
struct Known {
    hashes: Arc<HashMap<String, String>>,
    read: Option<(SystemTime, u64)>,
    looked: Option<Instant>,
    right: HashMap<[u8; 32], Instant>,
}

impl Users {
    pub(super) fn new(file: PathBuf, key: [u64; 4]) -> Self {
        Self {
            file,
            key,
            known: Mutex::default(),
            checks: Semaphore::new(CHECKS_AT_ONCE),
        }
    }

    /// Whether the pair is right.
    pub(super) async fn knows(&self, user: &str, password: &str) -> Result<bool, ApiError> {
        let pair = self.digest(user, password);
        let hashes = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            self.refresh(&mut known)?;
            let now = Instant::now();
            let believed = known.right.iter().any(|(digest, until)| {
                *until > now && bool::from(digest.as_slice().ct_eq(pair.as_slice()))
            });
            if believed {
                return Ok(true);
            }
            Arc::clone(&known.hashes)
        };
        let hash = hashes.get(user).cloned();
        if let Some(hash) = &hash {
            check_format(user, hash)?;
        }
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
        let password = password.to_owned();
        let _permit = self.checks.acquire().await;
        // Owned here: it is awaited at once. A blocking thread, because bcrypt would stall every other request.
        let checking = tokio::task::spawn_blocking(move || {
            password.len() < PASSWORD_BYTES_MAX && bcrypt::verify(&password, &hash).unwrap_or(false)
        });
        let right = checking.await.unwrap_or(false) && is_known;
        if right {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            known.right.retain(|_, until| *until > now);
            if known.right.len() < PAIRS_MAX && Arc::ptr_eq(&known.hashes, &hashes) {
                known.right.insert(pair, now + BELIEVED_FOR);
            }
        }
        Ok(right)
    }

    fn digest(&self, user: &str, password: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for word in self.key {
            hasher.update(word.to_be_bytes());
        }
        // The length keeps `a` + `bc` and `ab` + `c` apart.
        hasher.update(user.len().to_be_bytes());
        hasher.update(user);
        hasher.update(password);
        hasher.finalize().into()
    }

    /// Reads the file again if it has changed.
    fn refresh(&self, known: &mut Known) -> Result<(), ApiError> {
        let now = Instant::now();
        if known
            .looked
            .is_some_and(|looked| now.duration_since(looked) < LOOK_EVERY)
        {
            return Ok(());
        }
        let unreadable = |error: std::io::Error| {
            tracing::error!(
                file = %self.file.display(), %error,
                "the file of API users cannot be read; nobody can log in. Check `http_basic_auth_user_file`"
            );
            ApiError::basic_auth(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Problem reading auth user file",
            )
        };
        let stamp = std::fs::metadata(&self.file)
            .and_then(|meta| Ok((meta.modified()?, meta.len())))
            .map_err(unreadable)?;
        if known.read != Some(stamp) {
            let text = std::fs::read_to_string(&self.file).map_err(unreadable)?;
            known.hashes = Arc::new(parse(&text));
            known.right.clear();
            known.read = Some(stamp);
        }
        known.looked = Some(now);
        Ok(())
    }
}

/// Lines of `user:hash`; empty ones and comments are skipped. The first line of a user counts.
fn parse(text: &str) -> HashMap<String, String> {
    let mut users = HashMap::new();
    for line in text.lines().map(str::trim) {
        if let Some((user, hash)) = line.split_once(':').filter(|_| !line.starts_with('#')) {
            users
                .entry(user.to_owned())
                .or_insert_with(|| hash.to_owned());
        }
    }
    users
}

fn check_format(user: &str, hash: &str) -> Result<(), ApiError> {
    if ["$2y$", "$2a$", "$2b$"]
        .iter()
        .any(|prefix| hash.starts_with(prefix))
    {
        return Ok(());
    }
    tracing::error!(
        user,
        "the hash of an API user is not bcrypt; write it with `htpasswd -nB`"
    );
    Err(ApiError::basic_auth(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Only bcrypt digested passwords are supported",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_line_by_line() {
        let users = parse("# comment\n\nme:$2y$05$x\nme:later\nno line\n you:$2b$x:y \n");
        assert_eq!(users.len(), 2);
        assert_eq!(users["me"], "$2y$05$x");
        assert_eq!(users["you"], "$2b$x:y");
    }

    #[test]
    fn the_hash_of_nobody_is_a_hash() {
        assert_eq!(bcrypt::verify("x", NOBODY).ok(), Some(false));
    }
}
