//! The service catalog of a token, and which endpoint in it is meant.

use crate::options::ComputeOptions;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Service {
    #[serde(rename = "type")]
    service_type: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Deserialize)]
struct Endpoint {
    interface: String,
    url: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
}

/// The address of the wanted service: of the right type, name and region, under the first of the interfaces that there is.
/// The error says what was looked for and what there is.
pub(crate) fn endpoint(catalog: &[Service], options: &ComputeOptions) -> Result<String, String> {
    let services = catalog.iter().filter(|service| {
        service.service_type == options.service_type
            && options
                .service_name
                .as_ref()
                .is_none_or(|name| *name == service.name)
    });
    let candidates: Vec<&Endpoint> = services.flat_map(|service| &service.endpoints).collect();
    let in_region = |endpoint: &&&Endpoint| {
        let Some(region) = &options.region else {
            return true;
        };
        endpoint.region_id.as_ref() == Some(region) || endpoint.region.as_ref() == Some(region)
    };
    for interface in &options.interfaces {
        let interface = interface.strip_suffix("URL").unwrap_or(interface);
        let found = candidates
            .iter()
            .filter(in_region)
            .find(|endpoint| endpoint.interface == interface);
        if let Some(found) = found {
            return Ok(found.url.clone());
        }
    }
    let has: Vec<String> = candidates
        .iter()
        .map(|one| {
            let region = one.region_id.as_deref().or(one.region.as_deref());
            format!("{} in {}", one.interface, region.unwrap_or("no region"))
        })
        .collect();
    Err(format!(
        "the catalog has no `{}` service with an interface of [{}] in region {}; it has [{}]",
        options.service_type,
        options.interfaces.join(", "),
        options.region.as_deref().unwrap_or("any"),
        has.join(", ")
    ))
}

/// The address without a trailing slash, and with Nova's version if it names none.
pub(crate) fn base(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    if path.contains('/') {
        url.to_owned()
    } else {
        format!("{url}/v2.1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_config::sections::NovaSection;

    fn options(change: impl FnOnce(&mut NovaSection)) -> ComputeOptions {
        let mut nova = NovaSection {
            auth_type: Some("none".into()),
            endpoint_override: Some("http://unused".into()),
            ..NovaSection::default()
        };
        change(&mut nova);
        ComputeOptions::from_section(&nova).unwrap().unwrap()
    }

    fn catalog() -> Vec<Service> {
        serde_json::from_str(
            r#"[{"type": "identity", "name": "keystone", "endpoints": []},
                {"type": "compute", "name": "nova", "endpoints": [
                  {"interface": "public", "url": "http://pub-one", "region": "one", "region_id": "one"},
                  {"interface": "internal", "url": "http://int-two/v2.1/", "region_id": "two"},
                  {"interface": "public", "url": "http://pub-two", "region_id": "two"}]}]"#,
        )
        .unwrap()
    }

    #[test]
    fn interface_order_region_type_and_name_decide() {
        let pick = |change: fn(&mut NovaSection)| endpoint(&catalog(), &options(change));
        assert_eq!(pick(|_| {}).unwrap(), "http://int-two/v2.1/");
        assert_eq!(
            pick(|nova| nova.region_name = Some("one".into())).unwrap(),
            "http://pub-one"
        );
        let public = |nova: &mut NovaSection| {
            nova.region_name = Some("two".into());
            nova.valid_interfaces = vec!["publicURL".into()];
        };
        assert_eq!(pick(public).unwrap(), "http://pub-two");
        let error = pick(|nova| nova.region_name = Some("three".into())).unwrap_err();
        assert!(
            error.contains("region three") && error.contains("public in one"),
            "{error}"
        );
        assert!(pick(|nova| nova.service_type = "baremetal".into()).is_err());
        assert!(pick(|nova| nova.service_name = Some("other".into())).is_err());
    }

    #[test]
    fn an_address_without_a_path_gets_novas_version() {
        assert_eq!(base("http://nova:8774"), "http://nova:8774/v2.1");
        assert_eq!(base("http://nova:8774/"), "http://nova:8774/v2.1");
        assert_eq!(
            base("http://host/compute/v2.1/"),
            "http://host/compute/v2.1"
        );
    }
}
