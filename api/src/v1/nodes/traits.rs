//! `/v1/nodes/{node}/traits`.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::edit::NodeEdit;
use serde_json::{Value, json};
use std::sync::Arc;

/// Most traits of one node (Ironic `api/controllers/v1/node.py`).
const TRAITS_MAX: usize = 50;

/// First parts of the standard traits' names (os-traits). Ironic checks against that package's full list; baton takes
/// any well-formed name of these families, so that a new hardware trait needs no new release.
const FAMILIES: [&str; 6] = ["CUSTOM_", "HW_", "STORAGE_", "COMPUTE_", "MISC_", "OWNER_"];

/// Whether a text is a well-formed trait.
pub(crate) fn is_trait(name: &str) -> bool {
    let family = FAMILIES.iter().find(|family| name.starts_with(**family));
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    family.is_some_and(|family| name.len() > family.len())
        && name.len() <= 255
        && name.bytes().all(known)
}

/// Refuses what is no trait.
pub(crate) fn check(name: &str) -> Result<(), ApiError> {
    if is_trait(name) {
        return Ok(());
    }
    let name: String = name.chars().take(255).collect();
    Err(ApiError::bad(format!(
        "Invalid trait \"{name}\". A valid trait is at most 255 characters long; standard traits are defined in the \
         os_traits library, a custom trait starts with the prefix CUSTOM_ and uses the characters A-Z, 0-9 and _"
    )))
}

async fn store<F>(app: &App, call: &Call, change: F) -> Result<(), ApiError>
where
    F: Fn(&mut Vec<Box<str>>) -> Result<(), ApiError> + Send + Sync,
{
    app.edit(call, |node| {
        let mut traits = node.traits.clone();
        change(&mut traits)?;
        traits.sort();
        traits.dedup();
        if traits.len() > TRAITS_MAX {
            return Err(ApiError::bad(format!(
                "Error setting traits of node {}: maximum number of traits per node ({} vs. {TRAITS_MAX})",
                node.id,
                traits.len()
            )));
        }
        Ok(if traits == node.traits {
            Vec::new()
        } else {
            vec![NodeEdit::Traits(traits)]
        })
    })
    .await
    .map(drop)
}

/// `GET …/traits`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    Ok(Reply::of(&json!({"traits": node.traits})))
}

/// `PUT …/traits`: replaces all.
pub(crate) async fn replace(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["traits"])?;
    let items = match arguments.get("traits") {
        Some(Value::Array(items)) => items,
        Some(_) => return Err(ApiError::bad("traits must be a list")),
        None => return Err(ApiError::bad("Missing mandatory parameter: traits")),
    };
    let mut wanted = Vec::new();
    for item in items {
        let name = item
            .as_str()
            .ok_or_else(|| ApiError::bad("traits must be a list of strings"))?;
        check(name)?;
        wanted.push(Box::from(name));
    }
    store(&app, &call, |traits| {
        traits.clone_from(&wanted);
        Ok(())
    })
    .await?;
    Ok(Reply::done(None))
}

/// `DELETE …/traits`: all.
pub(crate) async fn clear(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    store(&app, &call, |traits| {
        traits.clear();
        Ok(())
    })
    .await?;
    Ok(Reply::done(None))
}

/// `PUT …/traits/{trait}`.
pub(crate) async fn add(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["traits"])?;
    if arguments.get("traits").is_some() {
        return Err(ApiError::bad(
            "A single node trait may be added via PUT /v1/nodes/<node identifier>/traits/<trait> with no body, or all \
             node traits may be replaced via PUT /v1/nodes/<node identifier>/traits with the list of new traits \
             specified in the request body.",
        ));
    }
    let name = call.segment(1);
    check(name)?;
    store(&app, &call, |traits| {
        traits.push(name.into());
        Ok(())
    })
    .await?;
    let location = format!("{}/v1/nodes/{}/traits/{name}", call.base, call.segment(0));
    Ok(Reply::done(Some(&location)))
}

/// `DELETE …/traits/{trait}`.
pub(crate) async fn remove(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let name = call.segment(1);
    store(&app, &call, |traits| {
        let before = traits.len();
        traits.retain(|known| **known != *name);
        if traits.len() == before {
            return Err(ApiError::not_found(format!(
                "Node {} doesn't have a trait '{name}'",
                call.segment(0)
            )));
        }
        Ok(())
    })
    .await?;
    Ok(Reply::done(None))
}
