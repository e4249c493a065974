//! Walking from resource to resource. What is not there is skipped: BMCs name resources that they do not serve.

use super::answer;
use super::conversation::Conversation;
use baton_model::port::bmc::BmcError;
use hyper::{Method, Uri};
use serde_json::Value;

impl Conversation<'_> {
    /// A resource, if it is there.
    pub(super) async fn resource(&mut self, path: &Uri) -> Result<Option<Value>, BmcError> {
        let answer = self.request(&Method::GET, path, None).await?;
        let served = answer.status.is_success();
        Ok(answer::resource(&answer.body).ok().filter(|_| served))
    }

    /// The resource that another one links to.
    pub(super) async fn linked(
        &mut self,
        resource: &Value,
        pointer: &str,
    ) -> Result<Option<Value>, BmcError> {
        match answer::link_at(resource, pointer) {
            Some(path) => self.resource(&path).await,
            None => Ok(None),
        }
    }

    /// The first members of a collection that another resource links to.
    pub(super) async fn members_of(
        &mut self,
        resource: &Value,
        pointer: &str,
        max: usize,
    ) -> Result<Vec<Value>, BmcError> {
        let Some(collection) = self.linked(resource, pointer).await? else {
            return Ok(Vec::new());
        };
        self.all(answer::members(&collection), max).await
    }

    /// The resources at these paths, as far as they are there.
    pub(super) async fn all(
        &mut self,
        paths: Vec<Uri>,
        max: usize,
    ) -> Result<Vec<Value>, BmcError> {
        let mut found = Vec::new();
        for path in paths.iter().take(max) {
            found.extend(self.resource(path).await?);
        }
        Ok(found)
    }
}

/// The links in a list of links.
pub(super) fn links(resource: &Value, pointer: &str) -> Vec<Uri> {
    let list = resource.pointer(pointer).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|link| link.get("@odata.id")?.as_str().and_then(answer::link))
        .collect()
}
