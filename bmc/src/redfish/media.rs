//! Virtual media: taking it out. Sources: DSP2046 VirtualMedia; Ironic `redfish/boot.py` for the words.

use super::answer;
use super::conversation::Conversation;
use super::resource::links;
use baton_model::json::Json;
use baton_model::port::bmc::BmcError;
use hyper::Uri;
use serde_json::{Value, json};

/// Most drives that are looked at. BMCs have two or four.
const MEDIA_MAX: usize = 8;

/// `MediaTypes` of each word that a user knows.
const TYPES: [(&str, &str); 4] = [
    ("cd", "CD"),
    ("dvd", "DVD"),
    ("usb", "USBStick"),
    ("floppy", "Floppy"),
];

fn takes(media: &Value, kind: &str) -> bool {
    let types = media.get("MediaTypes").and_then(Value::as_array);
    types.is_some_and(|types| types.iter().any(|one| one == kind))
}

impl Conversation<'_> {
    /// The virtual drives: the system's own, else those of its managers.
    async fn media(&mut self) -> Result<Vec<Value>, BmcError> {
        let system = self.read_system().await?;
        let mut media = self.members_of(&system, "/VirtualMedia", MEDIA_MAX).await?;
        if media.is_empty() {
            for manager in links(&system, "/Links/ManagedBy").iter().take(2) {
                if let Some(manager) = self.resource(manager).await? {
                    media.extend(
                        self.members_of(&manager, "/VirtualMedia", MEDIA_MAX)
                            .await?,
                    );
                }
            }
        }
        Ok(media)
    }

    /// Takes media out: of the drives of one kind, or of all. An empty drive is left alone.
    pub(super) async fn eject_media(&mut self, cargo: &Json) -> Result<(), BmcError> {
        let cargo = cargo.to_map();
        let word = cargo.get("boot_device").and_then(Value::as_str);
        let kind = match word {
            None => None,
            Some(word) => {
                let known = TYPES.iter().find(|(known, _)| *known == word);
                let refusal = format!("boot_device is cd, dvd, usb or floppy, not {word}");
                Some(known.ok_or_else(|| self.unsupported(&refusal))?.1)
            }
        };
        let mut media = self.media().await?;
        media.retain(|media| kind.is_none_or(|kind| takes(media, kind)));
        if media.is_empty() {
            return Err(self.unsupported("it has no such virtual media"));
        }
        for media in media {
            if media.get("Inserted") != Some(&Value::Bool(false)) {
                self.eject(&media).await?;
            }
        }
        Ok(())
    }

    async fn eject(&mut self, media: &Value) -> Result<(), BmcError> {
        let action = media
            .pointer("/Actions/#VirtualMedia.EjectMedia/target")
            .and_then(Value::as_str)
            .and_then(answer::link);
        if let Some(target) = action {
            return self.invoke(&target, &json!({})).await;
        }
        // Older services have no action; an image that is taken away is ejected (DSP2046 VirtualMedia `Image`).
        let own = media.get("@odata.id").and_then(Value::as_str);
        let path: Option<Uri> = own.and_then(answer::link);
        let path = path.ok_or_else(|| self.garbled("a virtual drive without a path"))?;
        let body = json!({"Image": null, "Inserted": false});
        self.change_unread(&path, &body).await
    }
}
